"""What a target has loaded, and which version of each library it runs."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress

from liveso.apply import Target, release_unloaded, running_version, take_over, take_record, warm
from liveso.daemon.discovery import is_from_disk, mapping_of, why_fixed
from liveso.daemon.disk import Disk
from liveso.daemon.log import log
from liveso.daemon.protection import Protection
from liveso.daemon.recognition import Mappings, Recognition, Sighting, UnknownVersion
from liveso.daemon.results import Results
from liveso.daemon.state import Fixed, Library, Result, ServedTarget
from liveso.elf.data import data_layout
from liveso.errors import FileWithheld, StoreError, TargetError, TargetGone
from liveso.plan import PROGRAM, AddressMap, LibraryState, LoadedVersion
from liveso.process import memory_map, proc
from liveso.process.emulation import require_own_program
from liveso.process.identity import read_identities
from liveso.process.view import root_for, why_unlike
from liveso.roots import OutsideRoot, below, real_path, stat
from liveso.setting_values import patterns
from liveso.settings import Settings
from liveso.store import Store, Version
from liveso.withheld import LOOK_AGAIN

_ATTEMPTS = 25  # where the program unloads libraries meanwhile
_PAUSE = 0.005  # seconds that each waits longer than the one before: programs unload plugins while they start


class Learner:
    """Learns of targets, of which `targets` are all, by process."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        disk: Disk,
        protection: Protection,
        results: Results,
        targets: Mapping[int, ServedTarget],
    ) -> None:
        self._settings = settings
        self._store = store
        self._disk = disk
        self._protection = protection
        self._results = results
        self._targets = targets
        self.may_be_unused = False
        self._recognition = Recognition(settings, store, disk, targets)

    async def meet(self, served: ServedTarget) -> None:
        """Take in a target that has just come. Raises TargetError where it cannot be served."""
        target = served.target
        pid, thread, store = target.pid, target.hello.thread, str(self._store.root)
        if served.is_visited:
            target.root = root_for(pid, thread, store)
        elif reason := why_unlike(pid, thread, store):
            raise TargetError(f"{reason}: it can only be visited (`liveso attach`), or served by a daemon there")
        if not target.agent.is_translated:
            require_own_program(pid, thread)
        await asyncio.to_thread(take_record, target, await target.agent.recall(), self._variables)
        if target.libraries:  # it has been updated: what has to be forgotten or given back of that, it must be asked
            await target.agent.meet()
        await self.learn(served)
        self._results.say(served, 4, f"served, {len(served.libraries)} libraries are kept up to date")

    async def learn(self, served: ServedTarget) -> None:
        """Take in what the target has loaded, and unloaded, since the last time."""
        async with served.learning:
            for attempt in range(_ATTEMPTS):
                try:
                    await self._learn_listed(served)
                    break
                except TargetGone:
                    raise
                except TargetError:  # what is read of an object that goes meanwhile may be anything, or not be there
                    if attempt == _ATTEMPTS - 1:
                        raise
                    await asyncio.sleep(attempt * _PAUSE)

    def forget_unused(self) -> None:
        """Watch and protect only what some target uses. It looks at all of them, and so is not for each that goes."""
        if not self.may_be_unused:
            return
        self.may_be_unused = False
        libraries = [it for served in self._targets.values() for it in served.libraries.values()]
        files = [it.path for served in self._targets.values() for it in served.fixed.values()]
        self._disk.keep_only((it.path for it in libraries), files)
        self._protection.keep_only(it.file for it in libraries)

    async def _learn_listed(self, served: ServedTarget) -> None:
        target, thread = served.target, served.target.hello.thread
        served.memory = proc.memory_use(target.pid, target.hello.thread)
        served.mapped = served.mapped_now(self._store.beginnings)
        listed = await target.agent.list_objects()
        mappings = memory_map.mappings(target.pid, thread)
        starts = [it.start for it in mappings]
        mapped = {it.base: mapping_of(it, mappings, starts) for it in listed.objects}
        replaced = frozenset(
            path
            for path, it in served.libraries.items()
            if (mapping := mapped.get(it.base)) and mapping.file != it.file
        )
        gone = replaced | await release_unloaded(target, listed, replaced)
        for path in [path for path, it in served.libraries.items() if path in gone or it.base not in mapped]:
            self.may_be_unused = True
            log.info("unloaded", pid=target.pid, library=path)
            del served.libraries[path]
        served.fixed = {name: it for name, it in served.fixed.items() if it.base in mapped}
        kin = self._kin_of(served)
        if kin is not None:
            take_over(target, kin.target, listed.objects)
        known = {it.base for it in served.libraries.values()} | {it.base for it in served.fixed.values()}
        new = [it for it in listed.objects if it.base not in known and is_from_disk(it, self._store)]
        for it, identity in zip(new, await read_identities(target.agent, new), strict=True):
            mapping = mapped[it.base]
            if mapping is not None:
                await self._learn_object(served, Sighting(it, identity, mapping), mapped, kin)
        if target.agent.is_met and not target.dynamics.keys() >= set(listed.objects):
            await warm(target)
        if any(mapped[it.base] is None for it in served.libraries.values() if it.base in mapped):
            served.mapped, served.memory = frozenset(), (0, 0)  # one is on its way out: look again

    def _kin_of(self, served: ServedTarget) -> ServedTarget | None:
        """A target of the same user that has the same files mapped at the same addresses, as processes have that come
        from one by fork(2): what was found out about its files helps with those of its children."""
        return next(
            (
                it
                for it in self._targets.values()
                if it is not served
                and it.target.user == served.target.user
                and it.mapped == served.mapped
                and not it.learning.locked()
            ),
            None,
        )

    async def _learn_object(
        self, served: ServedTarget, seen: Sighting, mapped: Mappings, kin: ServedTarget | None
    ) -> None:
        target, settings, it = served.target, served.target.hello.settings, seen.loaded
        ignore = patterns(settings.get("LIVE_IGNORE", "")) or self._settings.ignore
        only = patterns(settings.get("LIVE_ONLY", "")) or self._settings.only
        if it.name == PROGRAM:
            path = _path_of_program(target, seen)
            why = "is the program itself"
        else:
            path = _path(target, seen, kin)
            why = why_fixed(path, ignore, only)
        if why:
            name = it.name and os.path.basename(it.name)
            served.fixed[name] = Fixed(path, it.base, seen.identity, seen.mapping.file, why)
            self._disk.watch_file(path, seen.identity)
        elif path not in served.libraries:
            library = Library(target, path, seen.mapping.file, it.base)
            served.libraries[path] = library
            self._disk.watch_library(path, target.user)
            try:
                await self._learn_version(served, library, seen, mapped, kin)
            except TargetError:
                del served.libraries[path]  # else it would count as known
                raise

    async def _learn_version(
        self, served: ServedTarget, library: Library, seen: Sighting, mapped: Mappings, kin: ServedTarget | None
    ) -> None:
        target, path = served.target, library.path
        try:
            if library.state is not None:
                await self._recognition.check_record(served, library.state, seen, mapped)
                state = library.state.redirected((await running_version(target, library.state)).version)
                target.libraries = target.libraries | {path: state}
                if len(library.state.versions) > 1:
                    library.note(Result.UPDATED)
            else:
                version = await self._recognition.running_version(served, path, seen, kin)
                state = LibraryState(path, (LoadedVersion(version, AddressMap(library.base)),), version)
                target.libraries = target.libraries | {path: state}
                self._protection.protect(library)  # status shows it from here on
            library.soname = await asyncio.to_thread(self._soname, library)
        except (StoreError, UnknownVersion) as error:
            target.libraries = {known: state for known, state in target.libraries.items() if known != path}
            self._results.failed(served, library, str(error))
            if isinstance(error, FileWithheld):
                asyncio.get_running_loop().call_later(LOOK_AGAIN, _forget, served, library)
        self._results.show_build_id(library)
        self._protection.protect(library)

    def _variables(self, version: Version) -> range:
        return data_layout(self._store.image(version)).span

    def _soname(self, library: Library) -> str:
        return self._store.image(library.state.home.version).soname if library.state else ""


def _forget(served: ServedTarget, library: Library) -> None:
    """Let a library be learned of once more."""
    if served.libraries.get(library.path) is library:
        del served.libraries[library.path]
        served.learn_again()


def _path_of_program(target: Target, seen: Sighting) -> str:
    is_own = not target.agent.is_translated
    shown = proc.program_path(target.pid, target.hello.thread) if is_own else seen.mapping.file.path
    return _below_root(target, shown.removesuffix(" (deleted)"))


def _path(target: Target, seen: Sighting, kin: ServedTarget | None) -> str:
    """The path by which a library was loaded. A name that is relative was so to the folder that the process was in
    then: it is in another one by now where that leads to another folder than that of what is mapped. (To another file
    of the same folder it leads where that was replaced meanwhile, or a link to it.)"""
    name = seen.loaded.name
    if os.path.isabs(name) and not _is_elsewhere(target, name, seen):
        return target.root + os.path.normpath(name)
    for path, library in kin.libraries.items() if kin else ():
        if library.base == seen.loaded.base:
            return target.root + path.removeprefix(kin.target.root if kin else "")
    folder, file = proc.folder_of(target.pid, target.hello.thread), seen.mapping.file
    path = _below_root(target, os.path.normpath(os.path.join(folder, name)))
    mapped = _below_root(target, file.path.removesuffix(" (deleted)")) if file.path else path
    with suppress(OSError):
        if stat(path).st_ino == file.inode or os.path.dirname(real_path(path)) == os.path.dirname(mapped):
            return path
    return mapped


def _is_elsewhere(target: Target, name: str, seen: Sighting) -> bool:
    """Whether an emulator has opened another file than the program named: it has a folder that is searched first."""
    if not target.agent.is_translated:
        return False
    try:
        return os.path.dirname(real_path(name)) != os.path.dirname(seen.mapping.file.path)
    except OSError:
        return True


def _below_root(target: Target, shown: str) -> str:
    """The path of a file of the target that the kernel shows."""
    try:
        return below(target.root, shown)
    except OutsideRoot as error:
        raise TargetError(f"{shown} is mapped, and lies outside of the process's root (chroot(2))") from error
    except OSError as error:
        raise TargetGone(f"process {target.pid} has ended") from error
