"""Which version of a library a target runs, told by what it has in memory."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from liveso.daemon.disk import Disk
from liveso.daemon.state import ServedTarget
from liveso.errors import FileInFlux, FileWithheld, LivesoError, NotTaken, StoreError, TargetError, TargetGone
from liveso.plan import LibraryState
from liveso.process import LoadedObject, memory_map, proc
from liveso.process.identity import Identity, is_of
from liveso.settings import Settings
from liveso.store import Store, Version, unreadable
from liveso.withheld import NoAnswer, aside

Mappings = Mapping[int, memory_map.Mapping | None]
"""The mapping of each object, by its load address."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """An object in a target's memory."""

    loaded: LoadedObject
    identity: Identity
    mapping: memory_map.Mapping


class UnknownVersion(LivesoError):
    """What a target runs as one of its libraries cannot be told."""


class Recognition:
    """Recognises versions. `targets` are all that are served, by process."""

    def __init__(self, settings: Settings, store: Store, disk: Disk, targets: Mapping[int, ServedTarget]) -> None:
        self._settings = settings
        self._store = store
        self._disk = disk
        self._targets = targets

    async def running_version(
        self, served: ServedTarget, path: str, seen: Sighting, kin: ServedTarget | None
    ) -> Version:
        """The version that a target loaded from `path` by itself. Raises UnknownVersion, FileWithheld,
        NotTaken.

        The path may lead to another file by now. Then it is one that is in the store, all of whose code is compared: it
        may have come from another user's process. Or the mapped file is read through /proc/PID/map_files, which only
        root may. `kin` is a process of the same user that has the same files mapped.
        """
        same = kin.libraries.get(kin.target.root + path.removeprefix(served.target.root)) if kin else None
        if same and same.state and same.file == seen.mapping.file:
            version = same.state.home.version
            if version == self._disk.version(path) and await self._is_of(served, seen, version):
                return version
        while True:
            try:
                found = await self._search(served, path, seen)
                break
            except FileInFlux:
                await asyncio.sleep(self._settings.settle)
        if found is None:
            _require_still_there(served, seen)
            raise UnknownVersion(
                f"{path}: the file was replaced before liveso saw it, so the version that runs is not known; "
                "restart the program once"
            )
        return found

    async def _search(self, served: ServedTarget, path: str, seen: Sighting) -> Version | None:
        mapping = seen.mapping
        mapped_file = f"/proc/{served.pid}/map_files/{mapping.start:x}-{mapping.end:x}"
        on_disk, untold = None, None
        try:
            on_disk = await self._added(path, served)
        except (FileWithheld, NotTaken) as error:
            untold = error
        if on_disk is not None and await self._is_of(served, seen, on_disk):
            return on_disk
        for version in await asyncio.to_thread(lambda: list(self._known(path, seen))):
            if version != on_disk and await self._is_of(served, seen, version, thorough=True):
                return version
        if untold:  # as it is with the file that is mapped
            raise untold
        mapped = await self._added(mapped_file, served)
        return mapped if mapped is not None and await self._is_of(served, seen, mapped) else None

    def _known(self, path: str, seen: Sighting) -> Iterable[Version]:
        """Versions in the store that it may be."""
        found: dict[Version, None] = {}
        carried = self._store.version_of(seen.mapping.file.path)
        if carried is not None:
            found[carried] = None
        found |= dict.fromkeys(self._running_elsewhere(path))
        found |= dict.fromkeys(self._store.find_build_id(seen.identity.build_id))
        return found

    def _running_elsewhere(self, path: str) -> Iterator[Version]:
        for served in list(self._targets.values()):
            state = served.target.libraries.get(path)
            if state is not None:
                yield state.home.version

    async def _added(self, place: str, served: ServedTarget) -> Version | None:
        try:
            return await aside(place, partial(self._store.add, Path(place), served.target.user))
        except (FileInFlux, FileWithheld, NotTaken):
            raise
        except NoAnswer as error:
            raise unreadable(Path(place), error) from error
        except StoreError:
            return None

    async def _is_of(self, served: ServedTarget, seen: Sighting, version: Version, *, thorough: bool = False) -> bool:
        try:
            image = await asyncio.to_thread(self._store.image, version)
        except LivesoError:
            return False
        return await is_of(served.target.agent, seen.loaded, seen.identity, image, thorough=thorough)

    async def check_record(self, served: ServedTarget, state: LibraryState, seen: Sighting, mapped: Mappings) -> None:
        """Raise UnknownVersion where what a target says of its updates is not what its memory shows."""
        try:
            image = await asyncio.to_thread(self._store.image, state.home.version)
        except LivesoError as error:
            raise UnknownVersion(f"{state.path}: {error}; restart the program") from error
        size = image.machine.jump_size
        overwritten = [(int(it["place"]), it["content"].tobytes()[:size]) for it in state.home.overwritten]
        is_home = state.home.base == seen.loaded.base and await is_of(
            served.target.agent, seen.loaded, seen.identity, image, overwritten=overwritten
        )
        if not is_home or not all(self._is_mapped(it.base, it.version, mapped) for it in state.versions[1:]):
            _require_still_there(served, seen)
            raise UnknownVersion(
                f"{state.path}: its memory does not show what it was updated to by its own word; restart the program"
            )

    def _is_mapped(self, base: int, version: Version, mapped: Mappings) -> bool:
        mapping = mapped.get(base)
        return mapping is not None and self._store.version_of(mapping.file.path.removesuffix(" (deleted)")) == version


def _require_still_there(served: ServedTarget, seen: Sighting) -> None:
    """Raise TargetGone, or TargetError, where memory was compared that is an object's no more: the process has ended
    meanwhile, executes another program, or has unloaded it."""
    now = memory_map.mappings(served.pid, served.target.hello.thread)
    if not any((it.start, it.file) == (seen.mapping.start, seen.mapping.file) for it in now):
        if not proc.has_memory(served.pid):
            raise TargetGone(f"process {served.pid} has ended")
        raise TargetError(f"{seen.loaded.name} was unloaded meanwhile")
