"""Which package each version came from: found out after the version was taken, and kept beside it."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from io import BufferedReader
from pathlib import Path

from liveso import rpm
from liveso.daemon.log import log
from liveso.daemon.package_locks import PackageLocks
from liveso.dpkg import (
    MOST,
    Database,
    Entry,
    Package,
    Provenance,
    Release,
    from_json,
    joined,
    may_be_packaged,
    newest,
    read_changelog,
    read_database,
    read_release,
    state_of,
    to_json,
)
from liveso.errors import LivesoError
from liveso.process.identity import Identity, read_file_identity
from liveso.roots import inside, open_file, real_path, root_of
from liveso.store import Notes, Store, Version
from liveso.withheld import aside

_LOOK_AGAIN = 0.2  # seconds, while a package manager is at work
_LATER = 5.0  # seconds until files are looked up that are left alone: most processes are over by then
_MOST_FILES = 4096
_MOST_CHANGELOGS, _MOST_REALMS = 1024, 64
_LARGEST = 1 << 30  # bytes


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is not in the store: one realm's, by its path and its build ID, for what is mapped may have another
    inode than its file (overlay file systems)."""

    realm: str
    path: str
    identity: Identity


class Provenances:
    """Finds packages one after another, in a thread, when nothing that updates waits for it.

    What a root's database says is believed for the processes of that root only: a container may say what it likes of
    the same content.
    """

    def __init__(self, store: Store, locks: PackageLocks) -> None:
        self._store = store
        self._notes = Notes(store.root)
        self._locks = locks
        self._due: dict[tuple[str, Version | Identity], None] = {}
        self._before: dict[Version, Version] = {}
        self._more = asyncio.Event()
        self._asked = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._databases: dict[str, tuple[object, Database]] = {}
        self._changelogs: dict[tuple[str, str, str], tuple[Entry, ...]] = {}
        self._files: dict[_File, Provenance] = {}

    def took(self, path: str, version: Version, before: Version | None) -> None:
        """A version was taken from `path` just now, where another one lay `before`, if that is known."""
        self._put(path, version)
        if before and before != version:
            self._before[version] = before

    def saw(self, path: str, identity: Identity) -> None:
        """A process has a file in memory that is not taken into the store, and is at `path` if it is there still."""
        if identity.is_unique:
            self._put(path, identity)

    def _put(self, path: str, what: Version | Identity) -> None:
        if may_be_packaged(inside(path)):
            self._due[path, what] = None
            self._idle.clear()
            self._more.set()
            if isinstance(what, Version):
                self.hurry()

    def hurry(self) -> None:
        """Find out at once what is due: somebody asks, or it may not lie on disk for long."""
        self._asked.set()

    async def settled(self) -> None:
        """Wait until everything is found out."""
        self.hurry()
        await self._idle.wait()

    async def run(self) -> None:
        """Find out what is due, for ever."""
        while True:
            await self._more.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LATER):
                    await self._asked.wait()
            while self._due:
                path, what = next(iter(self._due))
                # while one is at work, its database does not say what lies on disk
                while await asyncio.to_thread(self._locks.are_held, {"", root_of(path)}):
                    await asyncio.sleep(_LOOK_AGAIN)
                self._due.pop((path, what))
                try:
                    await aside((path, what), partial(self._find, path, what))
                except (LivesoError, OSError, ValueError) as error:
                    log.info("package-unknown", library=path, reason=str(error))
            self._more.clear()
            self._asked.clear()
            self._idle.set()

    def of(self, path: str, version: Version) -> tuple[Provenance, ...]:
        """The packages that a version came from, by what the root of `path` says. Reads a file."""
        with suppress(OSError):  # the process has ended
            return self._read(version, _name(root_of(path)))
        return ()

    def of_file(self, path: str, identity: Identity) -> tuple[Provenance, ...]:
        """The same for a file that is not in the store."""
        with suppress(OSError):
            found = self._files.get(_File(_realm(root_of(path)), inside(path), identity))
            return (found,) if found else ()
        return ()

    def _read(self, version: Version, name: str) -> tuple[Provenance, ...]:
        content = self._notes.read(version, name)
        try:
            return from_json(content) if content else ()
        except ValueError:
            return ()

    def _find(self, path: str, what: Version | Identity) -> None:
        root = root_of(path)
        if isinstance(what, Version):
            name = _name(root)
            known = self._read(what, name)
            original = self._store.root / what.digest[:2] / what.digest / "original"
            found = self._provenance(path, lambda: os.open(original, os.O_RDONLY | os.O_CLOEXEC), known)
            before = self._before.pop(what, None)
            if found and before:
                earlier = newest(self._read(before, name), found.package.source)
                if earlier and earlier.package.source == found.package.source:
                    found = replace(found, entries=joined(found.entries, earlier.entries))
            if found and found not in known:
                others = [it for it in known if it.package != found.package]
                self._notes.write(what, name, to_json([*others[1 - MOST :], found]))
        else:
            file = _File(_realm(root), inside(path), what)
            if file not in self._files and len(self._files) < _MOST_FILES:
                is_there = read_file_identity(path) == what
                found = self._provenance(path, lambda: open_file(path, os.O_RDONLY | os.O_NONBLOCK))
                if found and is_there:
                    self._files[file] = found

    def _provenance(
        self, path: str, opened: Callable[[], int], known: tuple[Provenance, ...] = ()
    ) -> Provenance | None:
        """Where the file at a path came from, if its content, which is `opened`, is that of the package. Of a package
        that is `known` already, it is not compared again."""
        root = root_of(path)
        with suppress(FileNotFoundError):  # no database of dpkg's there, or no such file any more
            owner = self._database(root).owner(root, inside(real_path(path)))
            again = next((it for it in known if owner and it.package == owner.package and it.entries), None)
            if again:
                return again
            if owner:
                with os.fdopen(opened(), "rb") as file:
                    if os.fstat(file.fileno()).st_size > _LARGEST or _md5(file) != owner.md5:
                        return None
                return Provenance(owner.package, read_release(root), self._changelog(root, owner.package))
        package = None if root else rpm.owner(os.path.realpath(path), opened)
        return Provenance(package, Release()) if package else None  # what Debian says of its releases is not of these

    def _database(self, root: str) -> Database:
        realm, state = _realm(root), state_of(root)
        known = self._databases.get(realm)
        if known is None or known[0] != state:
            if len(self._databases) >= _MOST_REALMS:
                self._databases.clear()
            known = self._databases[realm] = state, read_database(root)
        return known[1]

    def _changelog(self, root: str, package: Package) -> tuple[Entry, ...]:
        key = _realm(root), package.name, package.version
        if key not in self._changelogs:
            if len(self._changelogs) >= _MOST_CHANGELOGS:
                self._changelogs.clear()
            self._changelogs[key] = read_changelog(root, package.name, package.source_version)
        return self._changelogs[key]


def _md5(file: BufferedReader) -> str:
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _name(root: str) -> str:
    realm = _realm(root)
    return f"packages-{realm}.json" if realm else "packages.json"


def _realm(root: str) -> str:
    """What tells a root from the others for as long as its files are mounted; empty for the daemon's own. Raises
    OSError where its process has ended."""
    if not root:
        return ""
    info = os.stat(root)
    return hashlib.sha256(f"{_boot()} {info.st_dev} {info.st_ino}".encode()).hexdigest()[:16]


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
