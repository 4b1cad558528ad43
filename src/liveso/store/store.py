"""The store: every version that was ever seen, by its content, with its prepared copy.

Code that targets run comes from here. So each file is only used if nobody else can have made or changed it
(`liveso.folders`), and if its content is what its name says: that is computed once for each state of a file.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from threading import Lock

from liveso.elf import Image, read_image
from liveso.errors import FileInFlux, NotTaken, StoreError
from liveso.folders import Folder, open_folder, remove_left_overs, seconds_since_change
from liveso.roots import stat
from liveso.settings import STORE_CURE
from liveso.store.accounts import Accounts
from liveso.store.build_id import read_build_id
from liveso.store.prepare import prepare
from liveso.store.recent import Recent
from liveso.store.snapshot import (
    FileIdentity,
    Snapshot,
    blocks_of,
    checked,
    digest_of,
    identity_of,
    take_snapshot,
    unreadable,
)
from liveso.store.version import Version

_ORIGINAL, _CARRIED = "original", "carried"
_IN_MEMORY = "/memfd:liveso/"  # as the kernel shows a file without a folder (memfd_create(2))
_PREPARATION = "4"  # another number for another way to prepare: what an earlier liveso left is not used again
_IMAGES_IN_MEMORY = 256 << 20  # bytes of files
_FILES_KNOWN = 16384
_MOST_ALIKE = 256  # versions
_KEPT_UNUSED = 14 * 24 * 3600  # seconds
_TOUCHED = 24 * 3600  # seconds
_UNFINISHED = 3600  # seconds after which a version without its original gets none any more


class Store:
    """A folder of versions. Safe to use from several threads.

    An identical file is read only once: its identity (device, inode, size, times) leads to its version.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))  # as the kernel names the copies that targets have mapped
        self._digests: Recent[FileIdentity, str] = Recent(_FILES_KNOWN)
        self._prepared: Recent[tuple[Version, str], str] = Recent(_FILES_KNOWN)
        self._images: Recent[Version, Image] = Recent(_IMAGES_IN_MEMORY, lambda image: len(image.content), least=2)
        self._build_ids: dict[Version, str] | None = None
        self._accounts = Accounts()
        self._lock = Lock()

    def add(self, path: Path, owner: int | None = None) -> Version:
        """Take a snapshot of `path` into the store, on behalf of the user `owner`, if one is given.

        Raises FileInFlux as `take_snapshot` does, FileWithheld, StoreError where the file is not a library that can be
        read, the store cannot be written, or `owner` has brought too much.
        """
        try:
            known = self._known_as(stat(str(path)))
        except OSError as error:
            raise unreadable(path, error) from error
        if known:
            return known
        with take_snapshot(path) as snapshot:
            version = Version(snapshot.digest)
            with self._open(version, make=True) as folder:
                if self._holds(folder, _ORIGINAL, version.digest):
                    self._touch(version, _TOUCHED)
                else:
                    self._take(folder, version, snapshot, owner)
            self._digests.put(snapshot.identity, version.digest)
        return version

    def _take(self, folder: Folder, version: Version, snapshot: Snapshot, owner: int | None) -> None:
        if owner is not None:
            self._accounts.charge(owner, version, snapshot.identity.size)
        try:
            self._write(folder, _ORIGINAL, snapshot.blocks(), snapshot.mode, version.digest)
        except BaseException:
            self._accounts.forget({version})
            raise
        with self._lock:
            if self._build_ids is not None:
                self._build_ids[version] = read_build_id(snapshot.descriptor)

    def _known_as(self, info: os.stat_result) -> Version | None:
        digest = self._digests.get(identity_of(info))
        version = Version(digest) if digest else None
        return version if version and os.path.lexists(self._original(version)) else None

    def build_id(self, version: Version) -> str:
        """The version's build ID, empty where it has none. Raises StoreError where the store lost it."""
        build_ids = self._all_build_ids()
        if version not in build_ids:
            raise _lost(version)
        return build_ids[version]

    def find_build_id(self, build_id: str) -> list[Version]:
        """Versions in the store with this build ID, or without one, of earlier daemons, too; the latest of very many.
        There can be several: a file keeps its build ID when strip(1) or the like changes it."""
        with_it = [it for it, its in list(self._all_build_ids().items()) if its == build_id]
        return [it for it in with_it[-_MOST_ALIKE:] if self._is_intact(it)]

    def find_beginning(self, beginning: str) -> dict[Version, tuple[str, str]]:
        """The versions whose SHA-256 or build ID begins so, with both, of earlier daemons, too."""
        named = {it: (it.digest, build_id) for it, build_id in list(self._all_build_ids().items())}
        return {
            it: both
            for it, both in named.items()
            if any(name.startswith(beginning) for name in both) and self._is_intact(it)
        }

    def _all_build_ids(self) -> dict[Version, str]:
        """By version; the files are looked at once, when the first is asked for."""
        with self._lock:
            if self._build_ids is None:
                self._build_ids = {}
                for version in self._versions():
                    with suppress(StoreError, OSError), self._open(version) as folder:
                        descriptor = folder.open_trusted(_ORIGINAL)
                        self._build_ids[version] = read_build_id(descriptor)
                        os.close(descriptor)
            return self._build_ids

    def _is_intact(self, version: Version) -> bool:
        try:
            with self._open(version) as folder:
                return self._holds(folder, _ORIGINAL, version.digest)
        except StoreError:
            return False

    def image(self, version: Version) -> Image:
        """The parsed version. Raises ImageError where it is none, StoreError where the store lost or spoilt it."""
        image = self._images.get(version)
        if image is None:
            image = read_image(self._content(version))
            self._images.put(version, image)
        return image

    def prepared(
        self, version: Version, name: str, left_out: frozenset[int] = frozenset(), *, keeps_block: bool = False
    ) -> Path:
        """The path of the prepared copy, under the library's own name, made unless it is there as it must be.

        `left_out` are rows of its relocations, and `keeps_block` is about its thread-local storage, as `prepare` has
        them."""
        variant = _PREPARATION + ("-block" if keeps_block else "")
        if left_out:
            variant += f"-{hashlib.sha256(repr(sorted(left_out)).encode()).hexdigest()[:16]}"
        with self._open(version, variant, make=True) as folder:
            digest = self._prepared.get((version, variant))
            if digest is None or not self._holds(folder, name, digest):
                content = prepare(self.image(version), left_out, keeps_block=keeps_block)
                digest = hashlib.sha256(content).hexdigest()
                if not self._holds(folder, name, digest):
                    self._write(folder, name, (content,), self._original(version).stat().st_mode, digest)
                self._prepared.put((version, variant), digest)
        return self._folder(version) / variant / name

    def carried(self, version: Version, name: str, source: int = -1) -> Path:
        """The path of the version itself, under the library's own name. What the store has lost or spoilt is taken from
        the open file `source`, if one is given. Raises StoreError where there is none, or it is another version."""
        with self._open(version, make=True) as folder, self._open(version, _CARRIED, make=True) as copies:
            if not self._holds(folder, _ORIGINAL, version.digest):
                if source < 0:
                    raise _lost(version)
                blocks = checked(blocks_of(source), version.digest, self._original(version))
                try:
                    self._write(folder, _ORIGINAL, blocks, os.fstat(source).st_mode, version.digest)
                except FileInFlux as error:
                    raise _lost(version) from error
            if not self._holds(copies, name, version.digest):
                self._link_or_copy(folder, copies, name, version)
        return self._folder(version) / _CARRIED / name

    def _link_or_copy(self, folder: Folder, copies: Folder, name: str, version: Version) -> None:
        try:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=copies.descriptor)
            os.link(_ORIGINAL, name, src_dir_fd=folder.descriptor, dst_dir_fd=copies.descriptor, follow_symlinks=False)
            info = os.stat(name, dir_fd=copies.descriptor, follow_symlinks=False)
            self._digests.put(identity_of(info), version.digest)  # a link changes the time of the last change
        except FileExistsError:
            pass  # made by another thread at this moment
        except OSError:  # a file system without hard links
            with os.fdopen(folder.open_trusted(_ORIGINAL), "rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                self._write(copies, name, blocks_of(file.fileno()), mode, version.digest)

    @property
    def beginnings(self) -> tuple[str, str]:
        """What the path begins with, as the kernel shows it, of a copy that a process has mapped."""
        return f"{self.root}/", _IN_MEMORY

    def version_of(self, path: str) -> Version | None:
        """The version whose copy in the store `path` is, or has the content of. It may be what a target says, and need
        not exist."""
        if path.startswith(_IN_MEMORY):
            path = f"{self.root}/{path.removeprefix(_IN_MEMORY)}"
        try:
            short, digest, *rest = PurePosixPath(path).relative_to(self.root).parts
            version = Version(digest)
        except ValueError:
            return None
        return version if short == digest[:2] and len(rest) in (1, 2) and ".." not in rest else None

    def prune(self, used: Iterable[Version]) -> None:
        """Remove versions that were not `used` for two weeks, and what was never finished. What a process has mapped
        stays alive there. Raises StoreError where the store is not safe to be used."""
        in_use = set(used)
        for version in in_use:
            self._touch(version)
        if not self.root.exists():
            return
        with _open(self.root):
            gone = {version for version in self._versions() if version not in in_use and self._is_due(version)}
            for version in gone:
                shutil.rmtree(self._folder(version), ignore_errors=True)
            self._forget(gone)
        remove_left_overs(self.root)

    def _is_due(self, version: Version) -> bool:
        original = self._original(version)
        if os.path.lexists(original):
            return seconds_since_change(original) > _KEPT_UNUSED
        return seconds_since_change(self._folder(version)) > _UNFINISHED

    def _forget(self, gone: set[Version]) -> None:
        digests = {version.digest for version in gone}
        self._digests.drop(lambda _identity, digest: digest in digests)
        self._prepared.drop(lambda key, _digest: key[0] in gone)
        self._images.drop(lambda version, _image: version in gone)
        self._accounts.forget(gone)
        with self._lock:
            for version in gone:
                (self._build_ids or {}).pop(version, None)

    def _touch(self, version: Version, older_than: float = 0.0) -> None:
        original = self._original(version)
        with suppress(OSError):  # only the date by which unused versions are removed
            if seconds_since_change(original) > older_than:
                os.utime(original, follow_symlinks=False)

    def _versions(self) -> Iterator[Version]:
        for folder in self.root.glob("??/*"):
            version = self.version_of(str(folder / _ORIGINAL))
            if version:
                yield version

    def _folder(self, version: Version) -> Path:
        return self.root / version.digest[:2] / version.digest

    def _original(self, version: Version) -> Path:
        return self._folder(version) / _ORIGINAL

    def _open(self, version: Version, *below: str, make: bool = False) -> Folder:
        try:
            return _open(self._folder(version).joinpath(*below), make)
        except FileNotFoundError:
            raise _lost(version) from None

    def _content(self, version: Version) -> bytes:
        try:
            with self._open(version) as folder, os.fdopen(folder.open_trusted(_ORIGINAL), "rb") as file:
                identity, content = identity_of(os.fstat(file.fileno())), file.read()
        except OSError as error:
            raise _lost(version) from error
        if self._digests.get(identity) != version.digest:
            if hashlib.sha256(content).hexdigest() != version.digest:
                raise StoreError(f"version {version} is damaged, so not used; remove {self._folder(version)}")
            self._digests.put(identity, version.digest)
        return content

    def _holds(self, folder: Folder, name: str, digest: str) -> bool:
        """Whether a file is there that has the content it must have; read once for each of its states."""
        try:
            with os.fdopen(folder.open_trusted(name), "rb") as file:
                identity = identity_of(os.fstat(file.fileno()))
                found = self._digests.get(identity) or digest_of(blocks_of(file.fileno()))
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(f"{folder.path / name}: cannot be read ({os.strerror(error.errno or 0)})") from error
        self._digests.put(identity, found)
        return found == digest

    def _write(self, folder: Folder, name: str, blocks: Iterable[bytes], mode: int, digest: str) -> None:
        """Write a file in one step: complete, or not at all. Readable for whom the library is readable."""
        try:
            info = folder.write(name, blocks, 0o400 | mode & 0o444 | 0o111 & mode)
        except OSError as error:
            raise NotTaken(f"the store {self.root} cannot be written: {os.strerror(error.errno or 0)}") from error
        self._digests.put(identity_of(info), digest)


def _open(path: Path, make: bool = False) -> Folder:
    try:
        return open_folder(path, STORE_CURE, make=make)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise StoreError(f"{path}: the store cannot be {'written' if make else 'read'}: {reason}") from error


def _lost(version: Version) -> StoreError:
    return StoreError(f"version {version} is not in the store any more")
