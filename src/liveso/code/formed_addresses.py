"""The addresses that code forms in several steps: what a register holds, relative to the instruction, and what is added
to that, or accessed by way of it."""

from dataclasses import dataclass

from liveso.code.form import Form, Operation
from liveso.machine import Machine

_PASSES = 8
_STACK = "stack "


@dataclass(slots=True)
class Found:
    """An instruction, and the address that it holds: where a branch leads to, or what a PAGE forms."""

    address: int
    form: Form
    held: int | None


_Addresses = dict[str, int]


def formed_addresses(
    found: list[Found], machine: Machine, stack: tuple[str, ...], last_calls: frozenset[int]
) -> list[int | None]:
    """The address that each instruction forms with its base register, if that holds a known one: a page, or an address
    made from it before. They are followed along all branches, until nothing changes. By the registers `stack`, words of
    the function's frame are addressed; calls of `last_calls` never return."""
    otherwise = _lasting(found, machine)
    at_target: dict[int, _Addresses] = {}
    for _pass in range(_PASSES):
        before = dict(at_target)
        targets = _follow(found, machine, stack, at_target, otherwise, last_calls)
        if at_target == before:
            break
    return targets


def _follow(
    found: list[Found],
    machine: Machine,
    stack: tuple[str, ...],
    at_target: dict[int, _Addresses],
    otherwise: _Addresses,
    last_calls: frozenset[int],
) -> list[int | None]:
    """One pass in the order of addresses. `at_target` has the addresses in registers where a branch leads to, as far as
    is known, and is added to; where none does, the code is reached through a pointer. Calls of `last_calls` never
    return."""
    targets: list[int | None] = []
    addresses: _Addresses | None = {}
    for each in found:
        form, leads_to = each.form, each.held
        if each.address in at_target:
            addresses = _common(addresses, at_target[each.address])
        is_known = addresses is not None
        held = otherwise if addresses is None else addresses
        base = held.get(form.base)
        targets.append(None if base is None or form.displacement is None else base + form.displacement)
        if form.operation is Operation.CALL:
            held = {it: known for it, known in held.items() if it in machine.kept_registers or it.startswith(_STACK)}
        elif leads_to is not None and not form.written:
            if is_known:
                at_target[leads_to] = _common(at_target.get(leads_to), held)
        elif form.operation is Operation.JUMP:
            otherwise = held  # a table of branches
        else:
            formed = targets[-1] if form.operation is Operation.ADDRESS else leads_to
            held = _after(held, form, formed, machine, stack)
        if form.operation in (Operation.JUMP, Operation.RETURN) or leads_to in last_calls:
            addresses = None
        elif is_known:
            addresses = held
        else:
            otherwise = held
    return targets


def _after(held: _Addresses, form: Form, formed: int | None, machine: Machine, stack: tuple[str, ...]) -> _Addresses:
    """The known addresses in registers, and in words of the stack, after an instruction that goes on to the next."""
    if not held and formed is None:
        return held
    word = f"{_STACK}{form.base}{form.displacement}" if form.base in stack else ""
    moved = held.get(form.source or word) if form.operation is Operation.MOVE and form.immediate is None else None
    known = moved if formed is None else formed
    overwritten = {*form.written}
    if form.is_store and word:
        overwritten |= {word, f"{_STACK}{form.base}{(form.displacement or 0) + machine.word}"}
    if not overwritten or (known is None and held.keys().isdisjoint(overwritten)):
        return held
    held = {it: address for it, address in held.items() if it not in overwritten}
    if known is not None:
        held[word if form.is_store else form.written[0]] = known
    return held


def _common(one: _Addresses | None, other: _Addresses) -> _Addresses:
    return other if one is None else {it: address for it, address in one.items() if other.get(it) == address}


def _lasting(found: list[Found], machine: Machine) -> _Addresses:
    """The pages in registers that a call keeps and that hold one page only in the whole function."""
    pages: dict[str, set[int]] = {}
    for it in found:
        if it.form.operation is Operation.PAGE and it.form.written[0] in machine.kept_registers:
            pages.setdefault(it.form.written[0], set()).add(it.held or 0)
    return {register: values.pop() for register, values in pages.items() if len(values) == 1}
