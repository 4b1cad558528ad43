"""Everything about a pair of versions that does not depend on a process: made once, used for all targets."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from liveso.code import References, ThreadLocalReferences, data_references, thread_local_references
from liveso.elf import Image
from liveso.store import Store, Version
from liveso.verdict import DebugSource, KeptVerdicts, Policy, Verdict

_KEPT = 256


@dataclass(frozen=True)
class Analysis:
    """A pair of versions: both images, the verdict, and the new code's references to its variables: to those that all
    threads share, and to those of each thread."""

    old: Image
    new: Image
    references: References
    thread_references: ThreadLocalReferences
    verdict: Verdict


class Analyst:
    """Makes analyses and keeps them. Safe to use from several threads; each thing is computed once."""

    def __init__(self, store: Store, policy: Policy) -> None:
        self._store = store
        self._policy = policy
        self._verdicts = KeptVerdicts(store.root / "verdicts")
        self._references: OrderedDict[Version, References] = OrderedDict()
        self._analyses: OrderedDict[tuple[Version, Version], Analysis] = OrderedDict()
        self._turn = threading.Lock()

    def analyse(self, old: Version, new: Version) -> Analysis:
        """Judge whether `new` may replace `old`. Raises ImageError or StoreError where one of them is unreadable."""
        with self._turn:
            found = self._analyses.get((old, new))
            if found is None:
                images = self._store.image(old), self._store.image(new)
                references = self._references_of(new)
                digests = old.digest, new.digest
                verdict = self._verdicts.judge(*images, self._policy, DebugSource(), digests, references)
                found = Analysis(*images, references, thread_local_references(images[1]), verdict)
                self._analyses[old, new] = found
                while len(self._analyses) > _KEPT:
                    self._analyses.popitem(last=False)
            return found

    def _references_of(self, version: Version) -> References:
        found = self._references.get(version)
        if found is None:
            found = data_references(self._store.image(version))
            self._references[version] = found
            while len(self._references) > _KEPT:
                self._references.popitem(last=False)
        return found
