"""Updates for which no thread may be inside the library: what old code began, new code is not to go on with."""

import asyncio
import time
from collections.abc import Iterable, Sequence

from liveso.apply.target import Target
from liveso.code import function_names
from liveso.errors import TargetError
from liveso.plan.record import LibraryState
from liveso.process import proc
from liveso.process.freeze import Freeze
from liveso.process.holding import NotYetStill, start_holder
from liveso.process.inside import Inside, functions_inside, threads_inside
from liveso.process.mapped import mapped_now
from liveso.store import Store

_PATIENCE = 15.0  # seconds
_SHORTEST, _LONGEST = 0.02, 0.5  # seconds between two looks


def code_of(state: LibraryState, store: Store) -> list[range]:
    """Where the versions of a library lie in its target. Raises StoreError."""
    sizes = (it.size or store.image(it.version).size_in_memory for it in state.versions)
    return [range(it.base, it.base + size) for it, size in zip(state.versions, sizes, strict=True)]


async def stale_threads(target: Target, state: LibraryState) -> tuple[Inside, ...]:
    """The threads that have a frame in a version which does not run any more. Raises TargetError."""
    ranges = [range(it.base, it.base + it.size) for it in state.versions if it.version != state.current]
    return await threads_inside(target.pid, target.machine, ranges) if ranges else ()


def function_of(it: Inside, state: LibraryState, store: Store) -> str:
    """The function by which a thread has got into a library, or the oldest on its stack that has a name. Raises
    StoreError."""
    for function in reversed(it.functions):
        for loaded in state.versions:
            image = store.image(loaded.version)
            if 0 <= function - loaded.base < (loaded.size or image.size_in_memory):
                names = [name for name, at in function_names(image).items() if at == function - loaded.base]
                if names:
                    return min(names, key=lambda name: (len(name), name))
    return f"the function at {it.functions[-1]:#x}" if it.functions else "code that its stack does not tell"


async def wait_until_outside(target: Target, states: Sequence[LibraryState], store: Store) -> list[range]:
    """Returns when no thread is inside libraries, as far as can be seen while they run: where these lie.

    Raises NotYetStill, which names a thread that stays there, TargetError where that cannot be told.
    """
    if target.agent.is_translated:
        raise TargetError("an emulator runs the program: whether a thread is inside the library cannot be told")
    start_holder()
    ranges = [code for it in states for code in await asyncio.to_thread(code_of, it, store)]
    end, pause = time.monotonic() + _PATIENCE, _SHORTEST
    while found := await threads_inside(target.pid, target.machine, ranges):
        if time.monotonic() > end:
            raise await asyncio.to_thread(_in_the_way, found[0], states, store)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST)
    return ranges


def _in_the_way(it: Inside, states: Iterable[LibraryState], store: Store) -> NotYetStill:
    library = next(
        (state for state in states for code in code_of(state, store) if any(at in code for at in it.functions)), None
    )
    where = f" in {function_of(it, library, store)}" if library else ""
    return NotYetStill(
        f"thread {it.thread} ({it.name}){where} is inside the library, which is to change when no thread is"
    )


async def require_outside(target: Target, freeze: Freeze, threads: Iterable[int], ranges: Sequence[range]) -> None:
    """Raise NotYetStill where one of the threads, which stand still, is inside `ranges`."""
    objects = mapped_now(target.pid, target.machine)
    for thread in threads:
        registers = await freeze.registers(thread)
        if registers and functions_inside(registers, objects, ranges) is not None:
            raise NotYetStill(f"thread {thread} ({proc.thread_name(target.pid, thread)}) is inside the library")
