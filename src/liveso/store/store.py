"""The store: every version that was ever seen, by its content, with its prepared copy."""

import hashlib
import os
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from liveso.elf import Image, read_image
from liveso.errors import StoreError
from liveso.store.prepare import prepare
from liveso.store.snapshot import FileIdentity, identity_of, take_snapshot

_ORIGINAL, _CARRIED = "original", "carried"
_PREPARATION = "3"  # another number for another way to prepare: what an earlier liveso left is not used again
_IMAGES_IN_MEMORY = 64
_KEPT_UNUSED = 14 * 24 * 3600  # seconds


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable content of a library. `digest` is its SHA-256, in hexadecimal."""

    digest: str

    def __str__(self) -> str:
        return self.digest[:12]


class Store:
    """A folder of versions. Safe to use from several threads.

    An identical file is read only once: its identity (device, inode, size, times) leads to its version.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[FileIdentity, Version] = {}
        self._images: OrderedDict[Version, Image] = OrderedDict()
        self._build_ids: dict[Version, str] = {}
        self._lock = Lock()

    def add(self, path: Path) -> Version:
        """Take a snapshot of `path` into the store.

        Raises FileInFlux as `take_snapshot` does, StoreError where the file cannot be read or the store not written.
        """
        try:
            known = self._known_as(os.stat(path))
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({os.strerror(error.errno or 0)})") from error
        if known:
            return known
        snapshot = take_snapshot(path)
        version = Version(_digest(snapshot.content))
        if not self._original(version).exists():
            self._write(self._original(version), snapshot.content, snapshot.mode)
        self._known[snapshot.identity] = version
        return version

    def known(self, path: Path) -> Version | None:
        """The version that `path` leads to, if that is in the store; the file is not read."""
        try:
            return self._known_as(os.stat(path))
        except OSError:
            return None

    def _known_as(self, info: os.stat_result) -> Version | None:
        known = self._known.get(identity_of(info))
        return known if known and self._original(known).exists() else None

    def build_id(self, version: Version) -> str:
        """The version's build ID, empty where it has none. Raises as `image` does."""
        if version not in self._build_ids:
            self._build_ids[version] = self.image(version).build_id
        return self._build_ids[version]

    def image(self, version: Version) -> Image:
        """The parsed version. Raises ImageError where it is none, StoreError where the store lost it."""
        with self._lock:
            image = self._images.get(version)
        if image is None:
            image = read_image(self._content(version))
        with self._lock:
            self._images[version] = image
            self._images.move_to_end(version)
            while len(self._images) > _IMAGES_IN_MEMORY:
                self._images.popitem(last=False)
        return image

    def prepared(
        self, version: Version, name: str, left_out: frozenset[int] = frozenset(), *, keeps_block: bool = False
    ) -> Path:
        """The path of the prepared copy, under the library's own name, made if it is not there. `left_out` are rows of
        its relocations, and `keeps_block` is about its thread-local storage, as `prepare` has them."""
        preparation = _PREPARATION + ("-block" if keeps_block else "")
        variant = f"{preparation}-{hashlib.sha256(repr(sorted(left_out)).encode()).hexdigest()[:16]}"
        path = self._folder(version) / (variant if left_out else preparation) / name
        if not path.exists():
            mode = self._original(version).stat().st_mode
            self._write(path, prepare(self.image(version), left_out, keeps_block=keeps_block), mode)
        return path

    def carried(self, version: Version, name: str, source: int) -> Path:
        """The path of the version itself, under the library's own name. What the store has lost or spoilt is taken from
        the open file `source`. Raises StoreError where that is another version."""
        try:
            is_there = _digest(self._content(version)) == version.digest
        except StoreError:
            is_there = False
        if not is_there:
            content = os.pread(source, os.fstat(source).st_size, 0)
            if _digest(content) != version.digest:
                raise StoreError(f"version {version} is not in the store any more")
            self._write(self._original(version), content, os.fstat(source).st_mode)
        original, path = self._original(version), self._folder(version) / _CARRIED / name
        try:
            if path.exists() and path.samefile(original):
                return path
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            path.hardlink_to(original)
        except FileExistsError:
            pass  # made by another thread at this moment
        except OSError:  # a file system without hard links
            self._write(path, self._content(version), original.stat().st_mode)
        return path

    def version_of(self, path: str) -> Version | None:
        """The version whose copy in the store `path` is."""
        try:
            return Version(Path(path).relative_to(self.root).parts[1])
        except (ValueError, IndexError):
            return None

    def prune(self, used: Iterable[Version]) -> None:
        """Remove versions that were not `used` for two weeks. What a process has mapped stays alive there."""
        for version in used:
            self._touch(version)
        for original in self.root.glob(f"??/*/{_ORIGINAL}"):
            try:
                if time.time() - original.stat().st_mtime > _KEPT_UNUSED:
                    shutil.rmtree(original.parent, ignore_errors=True)
            except OSError:
                continue

    def _touch(self, version: Version) -> None:
        try:
            os.utime(self._original(version))
        except OSError:
            pass  # only the date by which unused versions are removed

    def _folder(self, version: Version) -> Path:
        return self.root / version.digest[:2] / version.digest

    def _original(self, version: Version) -> Path:
        return self._folder(version) / _ORIGINAL

    def _content(self, version: Version) -> bytes:
        try:
            return self._original(version).read_bytes()
        except OSError as error:
            raise StoreError(f"version {version} is not in the store any more") from error

    def _write(self, path: Path, content: bytes, mode: int) -> None:
        """Write a file in one step: complete, or not at all. Readable for whom the library is readable."""
        temporary = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                temporary = file.name
                file.write(content)
                os.fchmod(file.fileno(), 0o400 | mode & 0o444 | 0o111 & mode)
            os.rename(temporary, path)
        except OSError as error:
            if temporary:
                Path(temporary).unlink(missing_ok=True)
            raise StoreError(f"the store {self.root} cannot be written: {os.strerror(error.errno or 0)}") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
