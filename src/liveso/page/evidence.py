"""Why one version may not replace another: the findings, with the old and the new instructions.

It is worked out in a process of its own (`python -m liveso.page.evidence`), which ends with it: judging takes memory
that the page would keep, and time in which it could answer nobody.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from liveso.errors import LivesoError

_LIMIT = 600.0  # seconds
_MOST_FINDINGS = 30
_MOST_KEPT = 20  # pairs
_MOST_PLACES = 5  # of a finding
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
    command = (sys.executable, "-m", __name__, *arguments)
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


def evidence(root: Path, policy_name: str, old: str, new: str) -> Json:
    """The findings about two versions in the store, which are named by their SHA-256, with the instructions of the
    functions that each finding names. Raises ImageError, StoreError where one of them cannot be read."""
    from liveso.page.instructions import in_both, place  # numpy and capstone, which the page itself does not need
    from liveso.store import Store, Version
    from liveso.verdict import DebugSource, KeptVerdicts, Policy

    store = Store(root)
    images = store.image(Version(old)), store.image(Version(new))
    kept = KeptVerdicts(root / "verdicts")
    verdict = kept.judge(*images, Policy(policy_name), DebugSource(), (old, new))
    told = []
    for it in islice(verdict.findings, _MOST_FINDINGS):
        functions = in_both(*images, [place(text) for text in it.where[:_MOST_PLACES]])
        shown = [{"name": name, "rows": [asdict(row) for row in rows]} for name, rows in functions]
        told.append({**asdict(it), "functions": shown})
    return {"findings": told, "more": max(0, len(verdict.findings) - _MOST_FINDINGS)}


def _main() -> None:
    store, policy, old, new = sys.argv[1:]
    try:
        found = evidence(Path(store), policy, old, new)
    except LivesoError as error:
        found = {"error": str(error)}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    _main()
