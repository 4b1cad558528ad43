"""What each user's processes have brought into the store: root's daemon takes what all users have loaded."""

import os
import pwd
from collections.abc import Container
from threading import Lock

from liveso.errors import NotTaken
from liveso.store.version import Version

_MOST_BYTES, _MOST_VERSIONS = 4 << 30, 4096


class Accounts:
    """Versions and bytes by user ID, since the daemon's start. Safe to use from several threads."""

    def __init__(self) -> None:
        self._brought: dict[int, dict[Version, int]] = {}
        self._lock = Lock()

    def charge(self, user: int, version: Version, size: int) -> None:
        """Raises NotTaken where a user, other than the one whose store it is, has brought too much already."""
        if user == os.geteuid():
            return
        with self._lock:
            brought = self._brought.setdefault(user, {})
            if version in brought:
                return
            if len(brought) >= _MOST_VERSIONS or sum(brought.values()) + size > _MOST_BYTES:
                held = sum(brought.values()) >> 20
                raise NotTaken(
                    f"user {_name(user)} has {len(brought)} versions of {held} MiB in the store, "
                    f"of {_MOST_VERSIONS} and {_MOST_BYTES >> 20} MiB that one user may have there, so this one is "
                    "not taken; versions that nobody uses go after two weeks, or run `liveso daemon` as that user"
                )
            brought[version] = size

    def forget(self, versions: Container[Version]) -> None:
        """Give back what is not in the store any more."""
        with self._lock:
            for user, brought in list(self._brought.items()):
                self._brought[user] = {it: size for it, size in brought.items() if it not in versions}


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
