"""Why one version may not replace another: the findings, with the old and the new instructions.

It is worked out in a process of its own (`liveso.page.comparing`), which ends with it: judging takes memory that the
page would keep, and time in which it could answer nobody.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

_LIMIT = 600.0  # seconds
_MOST_KEPT = 20  # pairs
Json = dict[str, Any]


class Evidence:
    """What asks for evidence, one pair of versions after another, and keeps the last answers."""

    def __init__(self, store: Path, policy: str) -> None:
        self._arguments = (str(store), policy)
        self._kept: dict[tuple[str, str], Json] = {}
        self._turn = asyncio.Lock()

    async def between(self, old: str, new: str) -> Json:
        """`findings`, each with its `functions`; or `error`, a sentence."""
        async with self._turn:
            if (old, new) not in self._kept:
                found = await _work_out(*self._arguments, old, new)
                if "error" in found:
                    return found
                self._kept[old, new] = found
                while len(self._kept) > _MOST_KEPT:
                    del self._kept[next(iter(self._kept))]
            return self._kept[old, new]


async def _work_out(*arguments: str) -> Json:
    command = (sys.executable, "-m", "liveso.page.comparing", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        output, _nothing = await asyncio.wait_for(process.communicate(), _LIMIT)
    except TimeoutError:
        return {"error": f"comparing both versions took over {_LIMIT:.0f} s; `liveso check` has no limit"}
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        return {"error": f"comparing both versions ended with status {process.returncode}"}
    found: Json = json.loads(output)
    return found
