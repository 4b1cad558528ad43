"""Slots that were bound since an update lead to homes, and from there by a jump to the version that runs: leading them
there directly saves the jump."""

from liveso.apply.target import Target, commit_words, dynamics_of, in_use, list_objects
from liveso.plan.homes import entries_by_home
from liveso.plan.redirect import call_slots, moved_slots
from liveso.plan.spans import is_writable
from liveso.process.objects import Slots, read_words


async def lead_on(target: Target) -> None:
    """Lead on the slots that are only called through, as far as the program may write them. Raises TargetGone,
    TargetError, and ObjectsChanged where libraries came or went meanwhile."""
    async with target.turn:
        entries: dict[int, int] = {}
        for state in target.libraries.values():
            entries |= entries_by_home(state.running.map.entries, state.running.base)
        if not entries:
            return
        objects = await list_objects(target)
        dynamics = await dynamics_of(target, in_use(target, objects.objects, frozenset()))
        places = call_slots(dynamics, target.machine.jump_slot)
        words = moved_slots(Slots(places, await read_words(target.agent, places)), entries)
        protections = await target.agent.protections(words["address"])
        words = words[is_writable(protections, words["address"])]
        if len(words):
            await commit_words(target, objects, words, [])
