"""Read what the plan of a transaction depends on, and make it."""

from collections.abc import Sequence

from liveso.apply.target import Target, dynamics_of, in_use, list_objects, prepared_copies
from liveso.plan.transaction import Plan, Step, make_plan, pages_wanted, prepare
from liveso.process import LoadedObject
from liveso.process.objects import Dynamic, imported_names, slot_addresses
from liveso.process.pages import one_page_each, read_pages


async def survey(target: Target, steps: Sequence[Step]) -> Plan:
    """Raises Refused where one of the versions cannot go in, TargetError, and MemoryChanged."""
    coming = frozenset(it.to for it in steps)
    objects = await list_objects(target)
    dynamics = await dynamics_of(target, in_use(target, objects.objects, coming))
    slots = slot_addresses(dynamics, prepared_copies(target))
    copies = await _copies(target, dynamics)
    prepared = [prepare(it, copies) for it in steps]
    pages = await read_pages(target.agent, pages_wanted(prepared, slots, target.machine))
    protections = await target.agent.protections(one_page_each(pages.numbers))
    return make_plan(prepared, slots, dynamics, pages, protections, target.machine)


async def _copies(target: Target, dynamics: dict[LoadedObject, Dynamic]) -> dict[str, int]:
    """The addresses of variables that the program, or another object, has a copy of (R_COPY), by name."""
    found: dict[str, int] = {}
    for owner, dynamic in dynamics.items():
        if dynamic.has_copies:
            names = await imported_names(target.agent, dynamic, frozenset({target.machine.copy}))
            found.update((name, owner.base + offset) for name, offset in names)
    return found
