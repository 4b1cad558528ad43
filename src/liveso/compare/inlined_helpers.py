"""A helper that is called for one member and inlined for another, and in the other version the other way round.

Which calls a compiler inlines depends on how large the whole library gets by it, so that an edit of one function makes
others look different that nobody touched.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from liveso.code import Code, Operation
from liveso.code.origin import WHOLE, Leads, Origin
from liveso.code.origins import Origins
from liveso.compare.two_versions import TwoVersions
from liveso.compare.witness import Witness

_Callee = int | str
"""A function of the old version, by its address, or one of another library, by its name."""


@dataclass(slots=True)
class _Members:
    """What a function does with the object that one pointer leads to: the displacements in the order in which they come
    first, and those that each callee is given as its first argument, by address or by value."""

    order: dict[int, None] = field(default_factory=dict)
    handed: dict[tuple[_Callee, bool], set[int]] = field(default_factory=lambda: defaultdict(set))


def is_inlined_elsewhere(
    it: Witness, codes: tuple[Code, Code], origins: tuple[Origins, Origins], versions: TwoVersions
) -> bool:
    """Whether one callee is given, by way of the same pointer, the member at the new place in the old version, and the
    one at the old place in the new version, and what the function does with members comes in the same order.

    Members that exchanged their places come in another order, or else the function is the same in both versions.
    """
    if it.is_alone:
        return False
    before, after = origins[0].base_at(it.old_address), origins[1].base_at(it.new_address)
    if before is None or after is None or not _correspond(before, after, codes):
        return False
    old, new = _members(0, before, codes, origins, versions), _members(1, after, codes, origins, versions)
    places = it.old + before.shift, it.new + after.shift
    if list(old.order) != list(new.order) or not old.order.keys() >= {*places}:
        return False
    return any(
        places[1] in given - new.handed[callee] and places[0] in new.handed[callee] - given
        for callee, given in list(old.handed.items())
    )


def _correspond(before: Origin, after: Origin, codes: tuple[Code, Code]) -> bool:
    """Whether both versions have the same pointer, as far as one function shows it."""
    if before.leads is not after.leads or before.leads in WHOLE or before.shift != after.shift:
        return False
    if before.leads is Leads.ARGUMENT:
        return before.number == after.number
    return codes[0].exact[before.number] == codes[1].exact[after.number]


def _members(
    side: int, base: Origin, codes: tuple[Code, Code], origins: tuple[Origins, Origins], versions: TwoVersions
) -> _Members:
    code, found = codes[side], _Members()
    first = versions.readers[side].machine.argument_registers[0]
    for at, address in enumerate(code.addresses):
        offset = _accessed(base, code, origins[side], at)
        if offset is not None:
            found.order.setdefault(offset)
        callee = _callee(side, code, at, versions)
        argument = origins[side].at(address).get(first) if callee is not None else None
        if callee is None or argument is None:
            continue
        if _is_same(argument, base):
            found.order.setdefault(argument.shift)
            found.handed[callee, False].add(argument.shift)
        elif argument.leads is Leads.WRITTEN and not argument.shift and _is_load(code, argument.number):
            loaded = _accessed(base, code, origins[side], argument.number)
            if loaded is not None:
                found.handed[callee, True].add(loaded)
    return found


def _is_same(one: Origin, base: Origin) -> bool:
    """Whether both lead into one object."""
    return one.leads is base.leads and one.number == base.number


def _accessed(base: Origin, code: Code, origins: Origins, at: int) -> int | None:
    """Where in the object an instruction accesses a member, or forms its address."""
    form = code.forms[at]
    if form.displacement is None or code.targets[at] is not None or "+" in form.outline:
        return None
    leads = origins.base_at(code.addresses[at])
    return form.displacement + leads.shift if leads is not None and _is_same(leads, base) else None


def _is_load(code: Code, at: int) -> bool:
    return code.forms[at].operation is Operation.MOVE and "[" in code.forms[at].outline


def _callee(side: int, code: Code, at: int, versions: TwoVersions) -> _Callee | None:
    """What an instruction calls, by what both versions know it by."""
    it = code[at]
    if it.operation is not Operation.CALL or it.place is None:
        return None
    if it.imported:
        return it.imported
    if it.place.kind != "function":
        return None
    return versions.old_functions.get(it.place.offset) if side else it.place.offset
