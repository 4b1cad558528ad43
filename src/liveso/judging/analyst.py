"""Everything about a pair of versions that does not depend on a process: made once, used for all targets."""

import asyncio
import os
from collections import OrderedDict
from functools import cache
from pathlib import Path

from liveso.judging.workers import Workers
from liveso.store import Store, Version
from liveso.verdict import DebugSource, KeptVerdicts, PairAnalysis, Policy, analyse_pair

_KEPT_BYTES = 128 << 20
_OVERHEAD = 1 << 16  # bytes that an analysis takes beside its tables, roughly


class Analyst:
    """Makes analyses and keeps them. Each pair is judged once at a time, and no user's pairs fill all processes."""

    def __init__(self, store: Store, policy: Policy, workers: Workers) -> None:
        self._root = store.root
        self._policy = policy
        self._workers = workers
        self._kept: OrderedDict[tuple[Version, Version], PairAnalysis] = OrderedDict()
        self._under_way: dict[tuple[Version, Version], asyncio.Task[PairAnalysis]] = {}
        self._turns: dict[int, asyncio.Semaphore] = {}

    async def analyse(self, old: Version, new: Version, user: int) -> PairAnalysis:
        """Judge whether `new` may replace `old`, on behalf of a user. Raises ImageError or StoreError where one of them
        is unreadable or cannot be judged."""
        pair = old, new
        found = self._kept.get(pair)
        if found is None:
            task = self._under_way.get(pair)
            if task is None:
                task = asyncio.create_task(self._analyse(old, new, user))
                self._under_way[pair] = task
                task.add_done_callback(lambda _task: self._under_way.pop(pair, None))
            found = await asyncio.shield(task)
            self._kept[pair] = found
            while len(self._kept) > 1 and sum(map(_size, self._kept.values())) > _KEPT_BYTES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(pair)
        return found

    async def _analyse(self, old: Version, new: Version, user: int) -> PairAnalysis:
        share = self._workers.count - (0 if user == os.geteuid() else 1)
        async with self._turns.setdefault(user, asyncio.Semaphore(share)):
            return await self._workers.run(_analyse_stored, self._root, self._policy, old, new)


def _analyse_stored(root: Path, policy: Policy, old: Version, new: Version) -> PairAnalysis:
    """The analysis of two versions in the store at `root`. Raises ImageError and StoreError as `Store.image` does."""
    store = _store_at(root)
    digests = old.digest, new.digest
    kept = KeptVerdicts(root / "verdicts")
    return analyse_pair(store.image(old), store.image(new), kept, policy, DebugSource(), digests)


@cache
def _store_at(root: Path) -> Store:
    """One for each process that judges, so that a version that is judged again need not be read again."""
    return Store(root)


def _size(it: PairAnalysis) -> int:
    """The memory that an analysis takes, in bytes, roughly."""
    tables = it.references.table, it.references.constants, it.thread_references.table
    return _OVERHEAD + sum(table.nbytes for table in tables)
