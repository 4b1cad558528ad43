"""Room for islands: memory near the jumps that do not reach the version which they are to lead to."""

from collections.abc import Sequence
from dataclasses import replace

from liveso.apply.target import Target
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.plan.islands import place_for_room
from liveso.plan.record import LoadedVersion
from liveso.plan.transaction import Step
from liveso.process import PlaceTaken


async def make_room(target: Target, steps: Sequence[Step], places: Table) -> list[Step]:
    """The steps, in which the version that has the jumps at `places` has room for their islands. Raises Refused where
    there is none, TargetError."""
    jump, owner = target.machine.jump, _owner(steps, int(places[0]))
    inside = places[(places >= owner.base) & (places < owner.base + owner.size)]
    assert jump is not None
    taken: list[range] = []
    while True:
        found = place_for_room(inside, await target.agent.mapped(), jump, taken)
        if found is None:
            raise Refused(
                "nothing is free near the old version's functions that leads to the new one; restart the program"
            )
        try:
            await target.agent.make_room(*found)
            break
        except PlaceTaken:
            around = found[1] << len(taken)  # what is there may be large
            taken.append(range(found[0] - around, found[0] + found[1] + around))
    roomy = replace(owner, rooms=(*owner.rooms, found))
    made = [replace(it, state=it.state.with_version(roomy)) if owner in it.state.versions else it for it in steps]
    target.libraries = target.libraries | {it.state.path: it.state for it in made}
    return made


def _owner(steps: Sequence[Step], place: int) -> LoadedVersion:
    return next(it for step in steps for it in step.state.versions if it.base <= place < it.base + it.size)
