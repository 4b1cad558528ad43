"""Everything about a pair of versions that does not depend on a process, in one value that can be kept and sent."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from liveso.code import (
    PanicMark,
    References,
    ThreadLocalReferences,
    data_references,
    no_references,
    no_thread_local_references,
    panic_mark,
    thread_local_references,
    with_references_to,
)
from liveso.debug.debug_files import DebugSource
from liveso.elf import Image
from liveso.verdict.finding import Finding, Policy, Verdict, Weight
from liveso.verdict.judge import failure
from liveso.verdict.kept import KeptVerdicts


@dataclass(frozen=True, slots=True)
class PairAnalysis:
    """The verdict over a pair of versions, and the references of the new version's code to its variables: to those that
    all threads share, and to those of each thread. `panic_mark` is the new version's.

    Where one of them could not be found out it is empty, and the verdict has a finding that makes the update impossible
    under every policy.
    """

    verdict: Verdict
    references: References
    thread_references: ThreadLocalReferences
    panic_mark: PanicMark | None


_Made = TypeVar("_Made")


def analyse_pair(
    old: Image,
    new: Image,
    kept: KeptVerdicts,
    policy: Policy,
    source: DebugSource,
    digests: tuple[str, str] | None = None,
) -> PairAnalysis:
    """Judge whether `new` may replace `old`, and find what relinking needs to know. `digests` are the SHA-256 of both
    files' contents, where they are known. Raises nothing, as `judge` does not."""
    failures: list[Finding] = []

    def made(function: Callable[[Image], _Made], otherwise: _Made, what: str) -> _Made:
        try:
            return function(new)
        except Exception as error:  # it is refused, whatever the reason
            failures.append(failure("ELF", what, error, Weight.IMPOSSIBLE))
            return otherwise

    references = made(data_references, no_references(), "finding references to variables")
    thread_references = made(
        thread_local_references, no_thread_local_references(), "finding references to thread-local variables"
    )
    mark = made(panic_mark, None, "finding the mark of panics")
    verdict = kept.judge(old, new, policy, source, digests, None if failures else references)
    starts, found = frozenset(it.start for it in verdict.tables), references
    references = made(lambda image: with_references_to(image, found, starts), found, "finding references to constants")
    if failures and not any(it.weight is Weight.IMPOSSIBLE for it in verdict.findings):
        verdict = replace(verdict, findings=(*failures, *verdict.findings))
    return PairAnalysis(verdict, references, thread_references, mark)
