"""What of a target might be brought to the versions that are wanted of it, and what cannot."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from liveso.apply import defined_names
from liveso.daemon.disk import Disk
from liveso.daemon.pins import Rollback
from liveso.daemon.state import Fixed, Library, ServedTarget
from liveso.daemon.wanted import WantedVersions
from liveso.elf import Image, read_image
from liveso.errors import LivesoError, TargetError, TargetGone
from liveso.judging import Analyst
from liveso.plan import PROGRAM, LibraryState, Offers, needed_objects, new_dependencies
from liveso.process import proc
from liveso.process.identity import Identity, read_file_identity
from liveso.process.view import has_own_mounts, sees_same
from liveso.roots import root_of, stat
from liveso.store import Store, Version
from liveso.verdict import PairAnalysis
from liveso.withheld import LOOK_AGAIN, NoAnswer, aside


@dataclass(frozen=True, slots=True)
class Candidate:
    """A library that might go to the version that is wanted, and the paths of the target's objects that this needs.

    Where that is by a `rollback`, `newer` are the paths of libraries that need this one, and were updated themselves.
    """

    library: Library
    state: LibraryState
    to: Version
    image: Image
    analysis: PairAnalysis
    needs: frozenset[str]
    rollback: Rollback | None = None
    newer: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Prospect:
    """The candidates of a target, by path; why some of its objects will not run what lies on disk, also if they go
    back; and which versions cannot be judged, with the reason."""

    candidates: dict[str, Candidate]
    behind: dict[str, str]
    unjudged: list[tuple[Library, Version, str]]


class Prospects:
    def __init__(self, store: Store, analyst: Analyst, disk: Disk, wanted: WantedVersions) -> None:
        self._store = store
        self._analyst = analyst
        self._disk = disk
        self._wanted = wanted
        self._identities: dict[str, tuple[tuple[int, ...], Identity | None]] = {}

    async def of(self, served: ServedTarget) -> Prospect:
        prospect = Prospect({}, {}, [])
        due: list[tuple[Library, LibraryState, Version, Rollback | None]] = []
        for path, library in served.libraries.items():
            state, wanted = library.state, self._wanted.of(served, path)
            version = wanted.version
            if wanted.rollback:
                cure = f"`liveso resume {os.path.basename(path)}` brings it forward"
                prospect.behind[path] = f"was rolled back; {cure}"
            if state is None:
                prospect.behind[path] = "runs in a version that is not known"
            elif version is None and not wanted.rollback:
                problem = self._disk.problem(path)
                prospect.behind[path] = f"cannot be updated: {problem}" if problem else "changes on disk just now"
            elif version not in (None, state.current) and not self._sees(served, path):
                reason = "the process sees another file there than the daemon (mount_namespaces(7)): restart it"
                prospect.behind[path] = f"cannot be updated: {reason}"
                prospect.unjudged.append((library, version, reason))
            elif version not in (None, state.current):
                due.append((library, state, version, wanted.rollback))
        if not due:
            return prospect
        there = served.running().items() | {(library.path, version) for library, _state, version, _rollback in due}
        fixed = {it.path: why for it in served.fixed.values() if (why := await self._why_behind(served, it))}
        prospect.behind.update(fixed)
        analyses = await asyncio.gather(
            *(
                self._analyst.analyse(it.current, version, served.target.user)
                for _library, it, version, _rollback in due
            ),
            return_exceptions=True,
        )
        for (library, state, version, rollback), analysis in zip(due, analyses, strict=True):
            if isinstance(analysis, LivesoError):
                prospect.behind[library.path] = f"cannot be judged: {analysis}"
                prospect.unjudged.append((library, version, str(analysis)))
            elif isinstance(analysis, BaseException):
                raise analysis
            elif library.tried and library.tried <= there:
                prospect.behind[library.path] = f"is refused: {library.reason}"
            else:
                try:
                    needing = partial(self._needs, served, library, version)
                    image, needs = await aside((library.path, version), needing)
                except NoAnswer as error:
                    reason = f"what it needs cannot be read: {error}"
                    prospect.behind[library.path] = f"cannot be updated: {reason}"
                    prospect.unjudged.append((library, version, reason))
                    asyncio.get_running_loop().call_later(LOOK_AGAIN, served.due.set)
                    continue
                newer = await asyncio.to_thread(self._newer, served, library) if rollback else frozenset[str]()
                prospect.candidates[library.path] = Candidate(
                    library, state, version, image, analysis, needs, rollback, newer
                )
        return prospect

    def _sees(self, served: ServedTarget, path: str) -> bool:
        """Whether the file that has changed is the one that the target would load. Where that may not be looked at, the
        update will say why."""
        pid, thread = served.pid, served.target.hello.thread
        try:
            return bool(root_of(path)) or not has_own_mounts(pid, thread) or sees_same(pid, thread, path)
        except TargetGone:
            raise
        except TargetError:
            return True

    async def _why_behind(self, served: ServedTarget, it: Fixed) -> str:
        """Why an object that is left as it is does not do for what was built with what lies on disk now."""
        try:
            on_disk = await aside(it.path, partial(self._identity_on_disk, it.path))
        except NoAnswer as error:
            return f"{it.why}, and what lies on disk cannot be told: {error.strerror}"
        if on_disk == it.identity and (it.identity.is_unique or _leads_to(it)):
            return ""
        return f"{it.why}, and another build of it lies on disk by now: restart the program"

    def _identity_on_disk(self, path: str) -> Identity | None:
        try:
            info = stat(path)
        except NoAnswer:
            raise
        except OSError:
            self._identities.pop(path, None)
            return None
        state = info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns
        kept = self._identities.get(path)
        if kept is None or kept[0] != state:
            kept = self._identities[path] = state, read_file_identity(path)
        return kept[1]

    def _needs(self, served: ServedTarget, library: Library, version: Version) -> tuple[Image, frozenset[str]]:
        image = self._store.image(version)
        names = _names(served)
        brought = [] if names.keys() >= set(image.needed) else new_dependencies(image, library.path, names)
        found: set[str] = set()
        for it in (image, *brought):
            found |= needed_objects(
                it, lambda: self._offered_by_program(served), lambda: self._offered_by_libraries(served, library)
            )
        return image, frozenset(names[name] for name in found if name in names) - {library.path}

    def _newer(self, served: ServedTarget, library: Library) -> frozenset[str]:
        """The libraries that need this one, and do not run what the target began with: that may have been built with a
        newer one."""
        names = _names(served)
        updated = [
            it.state for it in served.libraries.values() if it.state and it.state.current != it.state.home.version
        ]
        return frozenset(
            it.path
            for it in updated
            if it.path != library.path
            and any(names.get(name) == library.path for name in self._store.image(it.current).needed)
        )

    def offers(self, served: ServedTarget, *, by_all: bool) -> Offers:
        """What is offered by the libraries of a target, or only by those that have several versions."""
        states = [it.state for it in served.libraries.values() if it.state]
        updated = [it for it in states if len(it.versions) > 1]
        image = self._store.image
        return Offers(
            {it.path: image(it.current) for it in (states if by_all else updated)},
            {it.path: [image(one.version) for one in it.versions if one.version != it.current] for it in updated},
        )

    def _offered_by_program(self, served: ServedTarget) -> frozenset[str]:
        """What the program offers to libraries, if another program lies on disk by now: else nobody cares."""
        program = served.fixed.get(PROGRAM)
        if program is None or self._identity_on_disk(program.path) == program.identity:
            return frozenset()
        content = proc.program(served.target.pid, served.target.hello.thread)
        return defined_names(read_image(content, may_be_program=True))

    def _offered_by_libraries(self, served: ServedTarget, but: Library) -> frozenset[str]:
        states = [it.state for it in served.libraries.values() if it is not but and it.state]
        return frozenset[str]().union(*(defined_names(self._store.image(it.current)) for it in states))


def _names(served: ServedTarget) -> Mapping[str, str]:
    """The paths of the target's objects, by the names that others have for them."""
    names: dict[str, str] = {}
    for library in served.libraries.values():
        names.setdefault(os.path.basename(library.path), library.path)
        if library.soname:
            names.setdefault(library.soname, library.path)
    for name, it in served.fixed.items():
        names.setdefault(name, it.path)
    return names


def _leads_to(it: Fixed) -> bool:
    """Whether the path of an object without a build ID leads to the file that is mapped."""
    try:
        return stat(it.path).st_ino == it.file.inode and not it.file.is_deleted
    except OSError:
        return False
