"""Looking at processes: which run code that is not what lies on disk, and is not replaced by newer code either."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from liveso.client.answer import FAILED, ROLLED_BACK, Library
from liveso.client.claims import NOT_BROUGHT_IN, Claim, is_in_force, is_unfinished, why_not
from liveso.errors import LivesoError, TargetError, TargetGone
from liveso.places import owner_of_session, place_of
from liveso.process import belonging, memory_map, proc
from liveso.process.agent_file import is_agent
from liveso.process.memory_map import MappedFile
from liveso.services.disk import Disk
from liveso.services.needs import Reason, Seen
from liveso.services.outdated import is_never_updated, of_liveso, outdated, plain_path
from liveso.settings import Settings

_NONE: tuple[MappedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """A process, and the files that it has mapped and that do not matter although others lie on disk: newer code is in
    force for them, or they are liveso's own. What stands for another file, too, is not among them. One that `is_kept`
    runs such copies, and no daemon says what lies on disk instead."""

    seen: Seen
    in_force: tuple[MappedFile, ...] = ()
    is_kept: bool = False


def own_processes(user: int) -> Iterator[int]:
    """The processes of a user, for root of all, but for this one."""
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != os.getpid():
            try:
                if user == 0 or os.stat(f"/proc/{name}").st_uid == user:
                    yield int(name)
            except OSError:
                continue


def look_at_all(pids: Iterable[int], claims: Mapping[int, Claim], settings: Settings) -> tuple[list[Look], list[int]]:
    """What is to be seen of each process that has a program, and those that may not be looked at."""
    looks, unread = list[Look](), list[int]()
    with closing(Disk()) as disk:
        for pid in pids:
            try:
                found = look_at(pid, claims.get(pid), disk, str(settings.store))
            except (TargetGone, FileNotFoundError, ProcessLookupError):
                continue
            except (OSError, LivesoError):
                unread.append(pid)
                continue
            if found:
                looks.append(found)
    return looks, unread


def look_at(pid: int, claim: Claim | None, disk: Disk, store: str) -> Look | None:
    """None where it is a thread of the kernel's, or another process than a daemon spoke of. Raises OSError,
    LivesoError."""
    thread = proc.living_thread(pid)
    mappings = memory_map.mappings(pid, thread)
    if not mappings:
        return None
    command = proc.command(pid, thread)
    units = belonging.units(pid)
    user = os.stat(f"/proc/{pid}").st_uid
    files = outdated(mappings, partial(disk.is_other, pid), partial(disk.exists, pid), store)
    in_force = tuple(it for it in files if claim and _is_replaced(pid, claim, it, units, disk)) if files else _NONE
    place = place_of(units, _container(pid), user, command)
    left = tuple(it for it in files if it not in in_force)
    executed = _program(pid, thread) if left else ""
    reasons = [_reason(pid, it, claim, disk, executed) for it in left]
    if claim:
        known = {(it.device, it.inode) for it in files}
        said = [it for it in claim.target.libraries if it.mapped not in known]
        reasons += [it for library in said if (it := _reason_of_daemon(pid, library, claim, disk))]
    own = of_liveso(mappings, store)
    safe = tuple(it for it in (*in_force, *own) if all(it.path != other.path for other in left))
    is_kept = claim is None and not all(is_agent(it.path) for it in own)
    return Look(Seen(pid, command, user, place, tuple(dict.fromkeys(reasons))), safe, is_kept)


def _reason_of_daemon(pid: int, library: Library, claim: Claim, disk: Disk) -> Reason | None:
    """Why a library is not in force whose file looks as it should: it is what lies on disk, or a copy of liveso's."""
    is_there = library.mapped is not None and disk.leads_to(pid, library.path, library.mapped)
    if is_unfinished(library):
        # of a library that cannot be kept up to date, nothing else is known than what lies there
        is_current = library.result == FAILED and is_there
        return None if is_current else Reason(library.path, why_not(library), library.word)
    if library.mapped is None or is_there or library.result == ROLLED_BACK:
        return None
    digest = disk.digest(pid, library.path, is_trusted=claim.user is None)
    return Reason(library.path, NOT_BROUGHT_IN, library.word) if digest not in ("", library.version) else None


def _is_replaced(pid: int, claim: Claim, file: MappedFile, units: tuple[str, ...], disk: Disk) -> bool:
    """Whether newer code is in force. A user's daemon is believed of what is in that user's sessions only: a service
    that runs as some user could have a daemon made up, to be left alone."""
    if claim.user is not None and owner_of_session(units) != claim.user:
        return False
    library = claim.of(file)
    return library is not None and is_in_force(library, partial(disk.digest, pid, is_trusted=claim.user is None))


def _reason(pid: int, file: MappedFile, claim: Claim | None, disk: Disk, executed: str) -> Reason:
    path = plain_path(file)
    what = "replaced" if not file.is_deleted or disk.exists(pid, path) else "removed"
    if path == executed:
        return Reason(path, f"the program was {what} on disk since it was started")
    said = f"{what} on disk since it was loaded"
    if is_never_updated(path):
        return Reason(path, f"{said}; liveso never updates it")
    if claim is None:
        return Reason(path, said)
    if library := claim.of(file):
        if claim.user is not None and library.in_force:
            return Reason(path, f"{said}; in force says only the daemon of the user that it runs as", library.word)
        return Reason(path, f"{said}; {why_not(library)}", library.word)
    return Reason(path, f"{said}; {claim.target.note or 'it is none of the libraries that liveso keeps up to date'}")


def _program(pid: int, thread: int) -> str:
    try:
        return proc.program_path(pid, thread).removesuffix(" (deleted)")
    except TargetError:
        return ""


def _container(pid: int) -> str:
    try:
        return belonging.container_of(pid)
    except (PermissionError, TargetGone):  # another user's: the control group says what it can
        return ""
