"""What a person has allowed: that one version replaces another although values mean something else to it.

A permission is a file in the store, whose name has the SHA-256 of both contents: it holds for these only.
"""

import json
import os
import time
from pathlib import Path

from liveso.errors import StoreError, UnsafePath
from liveso.folders import open_folder, seconds_since_change
from liveso.settings import STORE_CURE
from liveso.store import Version

_MOST = 1000  # permissions: the oldest go first


class Permissions:
    """The permissions in the store at `root`. Where they cannot be read, or another user could have written them, there
    are none."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "allowed"

    def hold(self, old: Version, new: Version) -> bool:
        """Whether a person has allowed that `new` replaces `old`."""
        try:
            with open_folder(self._folder, STORE_CURE) as folder:
                os.close(folder.open_trusted(_name(old, new)))
                return True
        except (OSError, UnsafePath):
            return False

    def give(self, old: Version, new: Version, library: str) -> None:
        """Keep that a person has allowed it, for the library at a path. Raises StoreError where it cannot be kept."""
        content = json.dumps({"library": library, "time": time.time()}).encode()
        try:
            with open_folder(self._folder, STORE_CURE, make=True) as folder:
                folder.write(_name(old, new), [content], 0o600)
                _keep_to(folder.path, _MOST)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise StoreError(f"{self._folder}: the permission cannot be kept ({reason}); {STORE_CURE}") from error


def _name(old: Version, new: Version) -> str:
    return f"{old.digest}-{new.digest}"


def _keep_to(folder: Path, most: int) -> None:
    kept = sorted(folder.glob("[0-9a-f]*-*"), key=seconds_since_change)
    for oldest in kept[most:]:
        oldest.unlink(missing_ok=True)
