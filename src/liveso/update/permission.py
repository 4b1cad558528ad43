"""Whether an update may be made in one target: what the verdict leaves to it, and what the target itself is."""

import asyncio
from collections.abc import Sequence

from liveso.elf import read_image
from liveso.errors import Refused
from liveso.target import LoadedObject, process
from liveso.target.objects import Dynamic, imported_names
from liveso.update.analysis import Analysis
from liveso.update.record import LibraryState
from liveso.update.target import Target, dynamics_of
from liveso.verdict import describe


async def require_permission(target: Target, changes: Sequence[tuple[LibraryState, Analysis]]) -> None:
    """Raise Refused where the verdict on one of the libraries, or what the target is, stands against the update."""
    needed: frozenset[str] = frozenset()
    if any(analysis.verdict.may_depend_on_target for _state, analysis in changes):
        needed = await _needed_names(target, changes)
    for state, analysis in changes:
        refusals = analysis.verdict.refusals(needed)
        if refusals:
            raise Refused(describe(refusals), tuple(f"{it.rule}: {it.text}" for it in refusals), state.path)
    await require_safe_allocator(target)
    if process.system_call_filters(target.pid, target.hello.thread) > target.system_call_filters:
        raise Refused("the program filters its system calls since it started (seccomp), the agent's could end it")


async def require_safe_allocator(target: Target) -> None:
    """Opening a library allocates in the agent's thread: a program with an allocator of its own and a single thread may
    have one that is not made for that. Raises Refused."""
    objects = (await target.agent.list_objects()).objects
    owner = _owner(await dynamics_of(target, objects), target.hello.malloc)
    if owner is None or owner.name != "" or process.threads(target.pid).count > 2:
        return
    if target.has_own_malloc is None:
        target.has_own_malloc = await asyncio.to_thread(_program_defines_malloc, target)
    if target.has_own_malloc:
        raise Refused("the program has a malloc of its own, which may not be made for a second thread")


def _program_defines_malloc(target: Target) -> bool:
    """Whether it does; in a non-PIE program the address of libc's `malloc` can be that of its own PLT entry."""
    program = read_image(process.program(target.pid, target.hello.thread), may_be_program=True)
    return any(it.name == "malloc" and it.is_defined for it in program.symbols)


def _owner(dynamics: dict[LoadedObject, Dynamic], address: int) -> LoadedObject | None:
    below = [it for it in dynamics if it.base <= address]
    return max(below, key=lambda it: it.base) if below else None


async def _needed_names(target: Target, changes: Sequence[tuple[LibraryState, Analysis]]) -> frozenset[str]:
    """What the target's objects, other than the libraries' old versions, and the new versions refer to by name."""
    old = {it.base for state, _analysis in changes for it in state.versions}
    names = {it.name for _state, analysis in changes for it in analysis.new.symbols if not it.is_defined}
    for owner, dynamic in (await dynamics_of(target, (await target.agent.list_objects()).objects)).items():
        if owner.base not in old:
            names.update(name for name, _offset in await imported_names(target.agent, dynamic))
    return frozenset(names)
