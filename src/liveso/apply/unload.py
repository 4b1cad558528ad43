"""What follows when the program unloads a library that was updated: all its versions go."""

from liveso.apply.open import give_back
from liveso.apply.target import NO_WORDS, LibraryUnloaded, Target, commit_words, running_version
from liveso.plan.record import LibraryState
from liveso.process import ObjectList


async def release_unloaded(target: Target, learned: ObjectList, replaced: frozenset[str]) -> frozenset[str]:
    """Close the later versions of libraries that are not among the objects `learned`, or in whose place another file is
    loaded (`replaced`), and forget them. Returns their paths.

    From then on the target's libraries are those that were learned. Raises LibraryUnloaded where objects have gone
    meanwhile.
    """
    async with target.turn:
        if target.removed != learned.removed:
            target.dynamics = {}  # another object of the same name may lie at the same address
        target.removed = learned.removed
        bases = {it.base for it in learned.objects}
        gone = [
            state
            for state in target.libraries.values()
            if state.home.base not in bases or state.path in replaced or not await _is_redirected(target, state)
        ]
        paths = frozenset(it.path for it in gone)
        objects = await target.agent.list_objects()
        if objects.removed != learned.removed:
            raise LibraryUnloaded("a library was unloaded meanwhile")
        target.libraries = {path: it for path, it in target.libraries.items() if path not in paths}
        updated = [it for it in gone if len(it.versions) > 1]
        if updated:
            await commit_words(target, objects, NO_WORDS, [])
            for state in updated:
                await give_back(target, state, state.versions[1:])
        return paths


async def _is_redirected(target: Target, state: LibraryState) -> bool:
    """Whether the library at the home's address is the one that was updated, and not the same file that was loaded
    anew: jumps lead from there to a later version. That may be another one than the record has, in a child that was
    made (fork), or after a daemon that died, between the jumps and the record."""
    return state.current == state.home.version or await running_version(target, state) != state.home
