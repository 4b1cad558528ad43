"""Library files that are on disk no more: a process in which an update is in force has the store's copies instead.

Nothing runs otherwise than before. But whoever looks for processes that run what was replaced, by the "(deleted)" in
their memory maps (needrestart(1), lsof(8)), then finds those that do.
"""

import asyncio
import os
import time

from liveso.apply import carry
from liveso.daemon.log import log
from liveso.daemon.state import Library, Result, ServedTarget
from liveso.errors import LivesoError, TargetGone
from liveso.process import memory_map
from liveso.store import Store

_PATIENCE = 2.0  # seconds until the threads of a process stand still: there is another time


async def replace_removed_files(served: ServedTarget, store: Store) -> None:
    """Lay what a target has mapped of removed files onto the store's copies, where nothing of their code runs any more
    but by way of what runs now. Raises TargetGone."""
    updated = [it for it in served.libraries.values() if _is_in_force(it)] if not served.target.root else []
    if not updated:
        return
    mappings = memory_map.mappings(served.pid, served.target.hello.thread)
    removed = {it.file for it in mappings if it.file.is_deleted}
    for library in updated:
        if library.file in removed:
            await _replace(served, library, store)


def _is_in_force(it: Library) -> bool:
    """Whether another version than the first runs, and nothing of that one."""
    is_other = it.state is not None and it.state.current != it.state.home.version
    return is_other and it.result is Result.UPDATED and not (it.stale or it.inside)


async def _replace(served: ServedTarget, library: Library, store: Store) -> None:
    assert library.state is not None
    try:
        name = os.path.basename(library.path)
        copy = await asyncio.to_thread(store.carried, library.state.home.version, name)
        async with served.learning:  # what is learned of it is true of the file before, or of the copy
            carried = await carry(served.target, library.file, copy, time.monotonic() + _PATIENCE)
            library.file = carried.file
        log.debug("carried", pid=served.pid, library=library.path, held_ms=round(carried.held, 1))
    except TargetGone:
        raise
    except LivesoError as error:
        log.debug("not-carried", pid=served.pid, library=library.path, reason=str(error))
