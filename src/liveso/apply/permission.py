"""What in a target itself stands against any update, and what the verdict leaves to it."""

import asyncio
from collections.abc import Iterable

from liveso.apply.target import Target, dynamics_of, list_objects
from liveso.elf import Image, read_image
from liveso.errors import Refused
from liveso.process import LoadedObject, proc
from liveso.process.objects import Dynamic, imported_names


async def require_able(target: Target) -> None:
    """Raise Refused where what the target is stands against every update."""
    await _require_safe_allocator(target)
    if proc.system_call_filters(target.pid, target.hello.thread) > target.system_call_filters:
        raise Refused("the program filters its system calls since it started (seccomp), the agent's could end it")


async def _require_safe_allocator(target: Target) -> None:
    """Opening a library allocates in the agent's thread: a program with an allocator of its own and a single thread may
    have one that is not made for that."""
    objects = (await list_objects(target, may_be_old=True)).objects
    owner = _owner(await dynamics_of(target, objects), target.hello.malloc)
    if owner is None or owner.name != "" or proc.threads(target.pid).count > 2:
        return
    if target.has_own_malloc is None:
        target.has_own_malloc = await asyncio.to_thread(_program_defines_malloc, target)
    if target.has_own_malloc:
        raise Refused("the program has a malloc of its own, which may not be made for a second thread")


def _program_defines_malloc(target: Target) -> bool:
    """Whether it does; in a non-PIE program the address of libc's `malloc` can be that of its own PLT entry."""
    return "malloc" in defined_names(read_image(proc.program(target.pid, target.hello.thread), may_be_program=True))


def defined_names(image: Image) -> frozenset[str]:
    """The names of the symbols that an image offers to others."""
    return frozenset(it.name for it in image.symbols if it.is_defined)


def _owner(dynamics: dict[LoadedObject, Dynamic], address: int) -> LoadedObject | None:
    below = [it for it in dynamics if it.base <= address]
    return max(below, key=lambda it: it.base) if below else None


async def names_by_object(target: Target) -> dict[int, frozenset[str]]:
    """What each of the target's objects refers to by name, by its load address."""
    found = {}
    for owner, dynamic in (await dynamics_of(target, (await list_objects(target, may_be_old=True)).objects)).items():
        found[owner.base] = frozenset(name for name, _offset in await imported_names(target.agent, dynamic))
    return found


def needed_names(by_object: dict[int, frozenset[str]], leaving: frozenset[int], new: Iterable[Image]) -> frozenset[str]:
    """What a target's objects other than those at the load addresses `leaving`, and new versions, refer to by name."""
    names = [found for base, found in by_object.items() if base not in leaving]
    return frozenset().union(*names, *(_undefined_names(image) for image in new))


def _undefined_names(image: Image) -> frozenset[str]:
    return frozenset(it.name for it in image.symbols if not it.is_defined)
