"""Everything about a pair of versions that does not depend on a process: made once, used for all targets."""

import asyncio
import os
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from liveso.code import (
    PanicMark,
    References,
    ThreadLocalReferences,
    data_references,
    panic_mark,
    thread_local_references,
)
from liveso.store import Store, Version
from liveso.update.workers import Workers
from liveso.verdict import DebugSource, KeptVerdicts, Policy, Verdict

_KEPT_BYTES = 128 << 20
_OVERHEAD = 1 << 16  # bytes that an analysis takes beside its tables, roughly


@dataclass(frozen=True)
class Analysis:
    """A pair of versions: the verdict, and the new code's references to its variables: to those that all threads share,
    and to those of each thread. `mark` is what it knows its panics by, in Rust."""

    references: References
    thread_references: ThreadLocalReferences
    mark: PanicMark | None
    verdict: Verdict

    @property
    def size(self) -> int:
        """The memory that it takes, in bytes, roughly."""
        tables = self.references.table, self.references.constants, self.thread_references.table
        return _OVERHEAD + sum(it.nbytes for it in tables)


class Analyst:
    """Makes analyses and keeps them. Each pair is judged once at a time, and no user's pairs fill all processes."""

    def __init__(self, store: Store, policy: Policy, workers: Workers) -> None:
        self._root = store.root
        self._policy = policy
        self._workers = workers
        self._kept: OrderedDict[tuple[Version, Version], Analysis] = OrderedDict()
        self._under_way: dict[tuple[Version, Version], asyncio.Task[Analysis]] = {}
        self._turns: dict[int, asyncio.Semaphore] = {}

    async def analyse(self, old: Version, new: Version, user: int) -> Analysis:
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
            while len(self._kept) > 1 and sum(it.size for it in self._kept.values()) > _KEPT_BYTES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(pair)
        return found

    async def _analyse(self, old: Version, new: Version, user: int) -> Analysis:
        share = self._workers.count - (0 if user == os.geteuid() else 1)
        async with self._turns.setdefault(user, asyncio.Semaphore(share)):
            return await self._workers.run(analyse_pair, self._root, self._policy, old, new)


def analyse_pair(root: Path, policy: Policy, old: Version, new: Version) -> Analysis:
    """The analysis of two versions in the store at `root`. Raises as `Analyst.analyse` does."""
    store = _store_at(root)
    images = store.image(old), store.image(new)
    references = data_references(images[1])
    verdict = KeptVerdicts(root / "verdicts").judge(
        *images, policy, DebugSource(), (old.digest, new.digest), references
    )
    return Analysis(references, thread_local_references(images[1]), panic_mark(images[1]), verdict)


@cache
def _store_at(root: Path) -> Store:
    """One for each process that judges, so that a version that is judged again need not be read again."""
    return Store(root)
