"""What follows when the program unloads a library that was updated: all its versions go."""

import asyncio
from dataclasses import replace
from itertools import islice

import numpy as np

from liveso.store import Store
from liveso.target import ObjectList
from liveso.target.objects import read_words
from liveso.target.protocol import WORD
from liveso.update.open import give_back
from liveso.update.record import LibraryState
from liveso.update.redirect import symbol_table_changes
from liveso.update.target import NO_WORDS, LibraryUnloaded, Target, commit_words


async def release_unloaded(
    target: Target, store: Store, learned: ObjectList, replaced: frozenset[str]
) -> frozenset[str]:
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
            if state.home.base not in bases or state.path in replaced or not await _is_redirected(target, state, store)
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


async def _is_redirected(target: Target, state: LibraryState, store: Store) -> bool:
    """Whether the library at the home's address is the one that was updated, and not the same file that was loaded
    anew: its symbol table leads to the version that runs."""
    if not state.home.is_joined:
        return True
    wanted = {state.home.version, state.current}
    images = {it: await asyncio.to_thread(store.image, it) for it in wanted}
    first = replace(state, versions=(replace(state.home, is_joined=False), state.running))
    words = np.array(list(islice(symbol_table_changes(first, images, state.current), 1)), WORD)
    return bool((await read_words(target.agent, words["address"]) == words["value"]).all())
