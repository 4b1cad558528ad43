"""Which versions nobody is to get any more, because a process crashed soon after it got one: also by the next daemon.

Each is a file in the store, which is gone once somebody lets the version go on.
"""

import json
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from liveso.daemon.log import log
from liveso.errors import UnsafePath
from liveso.folders import open_folder
from liveso.settings import STORE_CURE
from liveso.store import Version

_MOST = 1000  # crashes that are read
_LONGEST = 1 << 16  # bytes of one


class Crashes:
    """The crashes in the store at `root`. Those that cannot be read, or that another user could have written, are none;
    one that cannot be kept holds for as long as the daemon runs."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "crashed"

    def read(self) -> dict[tuple[str, Version], str]:
        """What is said of each crash, by the path of the library and its version."""
        found = {}
        try:
            with open_folder(self._folder, STORE_CURE) as folder:
                for name in sorted(it for it in os.listdir(folder.path) if len(it) == 64)[:_MOST]:
                    with suppress(OSError, UnsafePath, ValueError), os.fdopen(folder.open_trusted(name), "rb") as file:
                        path, version, said = _decoded(file.read(_LONGEST))
                        found[path, version] = said
        except (OSError, UnsafePath):
            return {}
        return found

    def keep(self, path: str, version: Version, said: str) -> None:
        try:
            with open_folder(self._folder, STORE_CURE, make=True) as folder:
                content = json.dumps({"path": path, "version": version.digest, "said": said}).encode()
                folder.write(_name(path, version), [content], 0o600)
        except (OSError, UnsafePath) as error:
            log.warning("not-kept", library=path, reason=f"{self._folder}: {error}")

    def drop(self, path: str, version: Version) -> None:
        (self._folder / _name(path, version)).unlink(missing_ok=True)


def _decoded(content: bytes) -> tuple[str, Version, str]:
    """Raises ValueError where it is none."""
    try:
        found = json.loads(content)
        path, version, said = (found[key] for key in ("path", "version", "said"))
        if not (isinstance(path, str) and isinstance(said, str)):
            raise ValueError("is no crash")
        return path, Version(version), said
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError("is no crash") from error


def _name(path: str, version: Version) -> str:
    return sha256(os.fsencode(path) + b"\0" + version.digest.encode()).hexdigest()
