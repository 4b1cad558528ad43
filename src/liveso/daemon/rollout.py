"""Brings the libraries of a target to the versions that are wanted: those on disk, if nobody rolled back from them."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from functools import cache

from liveso.apply import Change, LibraryUnloaded, bound_copies, names_by_object, needed_names, update
from liveso.daemon.caution import Caution
from liveso.daemon.disk import Disk
from liveso.daemon.learning import Learner
from liveso.daemon.permissions import Permissions
from liveso.daemon.prospect import Candidate, Prospect, Prospects
from liveso.daemon.results import Results
from liveso.daemon.state import FIRST_PAUSE, ServedTarget
from liveso.daemon.wanted import WantedVersions
from liveso.elf import Symbol
from liveso.errors import LivesoError, Refused, TargetGone
from liveso.plan import Offers, choose, groups, unmet_need
from liveso.process.holding import CannotHold
from liveso.process.withheld import MemoryWithheld
from liveso.store import Store
from liveso.verdict import Finding, Weight, describe

_LONGEST_PAUSE = 600.0  # seconds before a target whose threads cannot be held still is tried again
_ATTEMPTS = 25  # where the program unloads libraries meanwhile, or some of those that go together turn out to be unable

Refusals = Callable[[str, frozenset[str]], tuple[Finding, ...]]
Unmet = Callable[[str, frozenset[str]], tuple[str, Symbol] | None]


class Rollouts:
    def __init__(
        self,
        store: Store,
        disk: Disk,
        wanted: WantedVersions,
        prospects: Prospects,
        permissions: Permissions,
        caution: Caution,
        learner: Learner,
        results: Results,
    ) -> None:
        self._store = store
        self._disk = disk
        self._wanted = wanted
        self._prospects = prospects
        self._permissions = permissions
        self._caution = caution
        self._learner = learner
        self._results = results

    async def bring(self, served: ServedTarget, snapshot: float) -> None:
        """Bring a target up to date, as far as that can be. `snapshot` is how long it took to take in the new versions,
        in ms.

        Raises TargetGone where the target is, TargetError where it cannot be read.
        """
        for _attempt in range(_ATTEMPTS):
            start = time.perf_counter()
            await self._wanted.meet(served)
            self._take_note_of_disk(served)
            prospect = await self._prospects.of(served)
            for library, version, reason in prospect.unjudged:
                self._results.refused(served, library, version, reason)
            steps = {"snapshot": snapshot, "judge": (time.perf_counter() - start) * 1000}
            try:
                if not prospect.candidates or await self._carry_out(served, prospect, steps):
                    return
            except LibraryUnloaded:
                await self._learner.learn(served)
        for it in prospect.candidates.values():
            self._results.refused(served, it.library, it.to, "libraries came and went whenever it was to be updated")

    def _take_note_of_disk(self, served: ServedTarget) -> None:
        for library in served.libraries.values():
            if library.state is None:
                continue
            wanted, problem = self._wanted.of(served, library.path), self._disk.problem(library.path)
            library.is_as_wanted = wanted.version in (None, library.state.current)
            if wanted.rollback and wanted.rollback.to == library.state.current:
                self._results.rolled_back(library, wanted.rollback)
            elif problem:
                self._results.refused(served, library, None, problem)
            elif wanted.version == library.state.current:
                self._results.current(library)

    async def _carry_out(self, served: ServedTarget, prospect: Prospect, steps: dict[str, float]) -> bool:
        """Update what can be. False where the target is to be looked at again. `steps` are those that are behind, with
        their times in ms."""
        refusals = await self._refusals(served, prospect.candidates)
        candidates = self._without_held_back(served, prospect, refusals)
        needs = {path: it.needs for path, it in candidates.items()}
        # a version that goes back finds what it was built with, or what came after that
        waits_for = {path: frozenset[str]() if it.rollback else it.needs for path, it in candidates.items()}
        unmet = await self._unmet(served, candidates)
        choice = choose(
            waits_for,
            prospect.behind,
            lambda path, going: describe(refusals(path, going)),
            lambda path, going: found[0] if (found := unmet(path, going)) else "",
        )
        for path in choice.refused:
            it, findings = candidates[path], refusals(path, choice.going | {path})
            if _are_questions(findings):
                self._results.waiting(served, it.library, it.to, findings)
                continue
            details = tuple(f"{found.rule}: {found.text}" for found in findings)
            self._results.refused(served, it.library, it.to, _told(it, choice.refused[path]), details)
        for path, other in choice.held_back.items():
            why = prospect.behind.get(other) or "is held back itself"
            if other in choice.refused:
                is_waiting = _are_questions(refusals(other, choice.going | {other}))
                why = "waits for a person" if is_waiting else f"is refused: {choice.refused[other]}"
            it, name = candidates[path], os.path.basename(other)
            if (found := unmet(path, choice.going)) and found[0] == other:
                why = f"offers {found[1]} only in a version that does not run"
            self._results.held_back(served, it.library, it.to, name, f"it needs {name}, which {why}")
        if choice.going and not served.target.agent.is_met:
            await self._meet(served, [candidates[path] for path in choice.going])
            return False
        for group in groups(choice.going, needs):
            if not await self._update(served, [candidates[path] for path in sorted(group)], steps):
                return False
        return True

    def _without_held_back(self, served: ServedTarget, prospect: Prospect, refusals: Refusals) -> dict[str, Candidate]:
        """The candidates that are refused, or may go in now: others wait until it is known how the version gets on."""
        left = dict(prospect.candidates)
        for path, it in prospect.candidates.items():
            if it.rollback or refusals(path, frozenset(prospect.candidates)):
                continue
            reason = self._caution.stands_against(served, path, it.to)
            if reason:
                self._results.held_back(served, it.library, it.to, "", reason)
                prospect.behind[path] = f"is held back: {reason}"
                del left[path]
        return left

    async def _meet(self, served: ServedTarget, group: list[Candidate]) -> None:
        """Let there be live.so in a target that was only looked at so far, and learn what it alone can tell."""
        try:
            await served.target.agent.meet()
        except TargetGone:
            raise
        except LivesoError as error:
            self._did_not_succeed(served, group, error)
            return
        await self._learner.learn(served)

    async def _refusals(self, served: ServedTarget, candidates: Mapping[str, Candidate]) -> Refusals:
        """What stands against each candidate, if just some of them go: it depends on who is left that needs the old
        one. Where nothing else does, it is what a person is asked about, and has not allowed."""
        questions = {path: await self._questions(it) for path, it in candidates.items()}
        depends = any(it.analysis.verdict.may_depend_on_target for it in candidates.values())
        by_object = await names_by_object(served.target) if depends else {}
        bound = bound_copies(served.target)

        @cache
        def needed(going: frozenset[str]) -> frozenset[str]:
            chosen = [candidates[path] for path in sorted(going)]
            leaving = frozenset(loaded.base for it in chosen for loaded in it.state.versions)
            return needed_names(by_object, leaving | bound, (it.image for it in chosen))

        def refusals(path: str, going: frozenset[str]) -> tuple[Finding, ...]:
            verdict = candidates[path].analysis.verdict
            found = verdict.refusals(needed(going) if verdict.may_depend_on_target else frozenset())
            return (*_needed_by_newer(path, going, candidates), *found) or questions[path]

        return refusals

    async def _unmet(self, served: ServedTarget, candidates: Mapping[str, Candidate]) -> Unmet:
        """What each candidate refers to that nothing which runs will offer, if just some of them go."""
        for by_all in (False, True):  # the images of all are seldom needed
            offers = await asyncio.to_thread(self._prospects.offers, served, by_all=by_all)
            unmet = _unmet_with(offers, candidates)
            if not any(
                unmet(path, going) for path in candidates for going in (frozenset({path}), frozenset(candidates))
            ):
                break
        return unmet

    async def _questions(self, it: Candidate) -> tuple[Finding, ...]:
        """What a person is still to be asked about a candidate."""
        found = it.analysis.verdict.questions
        is_allowed = bool(found) and await asyncio.to_thread(self._permissions.hold, it.state.current, it.to)
        return () if is_allowed else found

    async def _update(self, served: ServedTarget, group: list[Candidate], steps: dict[str, float]) -> bool:
        """Update libraries that go together. False where the target is to be looked at again; LibraryUnloaded too."""
        start = time.perf_counter()
        changes = [
            Change(it.state, it.to, it.analysis, served.is_atomic or it.analysis.verdict.is_right_outside)
            for it in group
        ]
        try:
            outcomes = await update(served.target, changes, self._store)
        except (TargetGone, LibraryUnloaded):
            raise
        except LivesoError as error:
            self._did_not_succeed(served, group, error)
            return False
        milliseconds = sum(steps.values()) + (time.perf_counter() - start) * 1000
        for it, outcome in zip(group, outcomes, strict=True):
            self._results.updated(
                served,
                it.library,
                it.state.current,
                it.to,
                outcome,
                milliseconds,
                steps | outcome.steps,
                it.rollback,
            )
            if not it.rollback:
                self._caution.updated(served, it.library.path, it.to)
        served.pause = FIRST_PAUSE
        if any(it.tried for it in served.libraries.values()):
            served.due.set()  # what did not succeed without these may do so now
        return True

    def _did_not_succeed(self, served: ServedTarget, group: list[Candidate], error: LivesoError) -> None:
        """Let the library that it is about, or all, not be tried again with the same others; or not at once, where its
        threads cannot be held still now."""
        is_refusal = isinstance(error, Refused)
        reason = str(error) if is_refusal else f"it could not be done: {error}"
        culprit = error.library if isinstance(error, Refused) else ""
        details = error.details if isinstance(error, Refused) else ()
        for it in group:
            self._caution.gives_up(served, it.library.path, it.to)
            if culprit in ("", it.library.path):
                self._results.refused(served, it.library, it.to, _told(it, reason), details)
                going = {one.library.path: one.to for one in group}
                it.library.tried = frozenset((served.running() | going).items())
        if isinstance(error, CannotHold | MemoryWithheld):
            for it in group:
                it.library.is_tried_again = True
            asyncio.get_running_loop().call_later(served.pause, served.try_again)
            served.pause = min(2 * served.pause, _LONGEST_PAUSE)


def _unmet_with(offers: Offers, candidates: Mapping[str, Candidate]) -> Unmet:
    def unmet(path: str, going: frozenset[str]) -> tuple[str, Symbol] | None:
        new = {other: candidates[other].image for other in going}
        return unmet_need(candidates[path].image, path, offers.if_going(new))

    return unmet


def _needed_by_newer(path: str, going: frozenset[str], candidates: Mapping[str, Candidate]) -> tuple[Finding, ...]:
    """What stands against going back: libraries that need this one, and may have been built with what it comes from."""
    found = []
    for other in sorted(candidates[path].newer):
        it = candidates.get(other)
        if it is None or other not in going or it.to != it.state.home.version:
            text = f"{os.path.basename(other)}, which needs it, runs a newer version: roll that back first"
            found.append(Finding("rollback", "needed-by-newer", Weight.REFUSES, text))
    return tuple(found)


def _told(it: Candidate, reason: str) -> str:
    return f"cannot go back to version {it.to}: {reason}" if it.rollback else reason


def _are_questions(findings: tuple[Finding, ...]) -> bool:
    """Whether nothing but a person's word stands in the way."""
    return all(it.weight is Weight.ASKS for it in findings)
