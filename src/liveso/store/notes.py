"""What is known of a version beside its content: small files in its folder, which go with it."""

import os
from contextlib import suppress
from pathlib import Path

from liveso.errors import StoreError
from liveso.folders import open_folder
from liveso.settings import STORE_CURE
from liveso.store.version import Version

_LARGEST = 4 << 20  # bytes


class Notes:
    """Notes about the versions in the store at `root`. Safe to use from several threads."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, version: Version, name: str, content: bytes) -> None:
        """Keep a note, in the place of one of this name. It says nothing where the version is in the store no more.
        Raises StoreError where it cannot be kept."""
        try:
            with suppress(FileNotFoundError), open_folder(self._folder(version), STORE_CURE) as folder:
                folder.write(name, (content,), 0o600)
        except OSError as error:
            raise StoreError(f"the store {self._root} cannot be written: {os.strerror(error.errno or 0)}") from error

    def read(self, version: Version, name: str) -> bytes:
        """A note; empty where there is none that can be read and trusted."""
        with suppress(OSError, StoreError), open_folder(self._folder(version), STORE_CURE) as folder:
            with os.fdopen(folder.open_trusted(name), "rb") as file:
                content = file.read(_LARGEST + 1)
            return content if len(content) <= _LARGEST else b""
        return b""

    def _folder(self, version: Version) -> Path:
        return self._root / version.digest[:2] / version.digest
