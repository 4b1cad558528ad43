"""Functions whose address code hands to several functions of other libraries: to one that keeps it, and to one that
looks for it again (`apr_pool_cleanup_register` and `apr_pool_cleanup_kill`)."""

from collections import defaultdict

import numpy as np

from liveso.code.form import Operation
from liveso.code.instructions import Code, Reader
from liveso.code.shapes import Shapes
from liveso.elf import Image
from liveso.elf.sets import among
from liveso.machine import Machine


def handed_functions(image: Image, shapes: Shapes) -> dict[int, frozenset[str]]:
    """The functions of `image`, by address, whose own address is an argument of calls of more than one imported
    function, with the names of those. `shapes` are the image's."""
    if not image.machine.can_be_updated:
        return {}
    starts = shapes.functions["start"].astype("<i8")
    fields = shapes.fields[among(shapes.fields["target"], starts)]
    places = fields["place"].astype("<i8")
    inside = np.searchsorted(starts, places, side="right") - 1
    forming: dict[int, set[int]] = defaultdict(set)
    for index, place, target in zip(inside.tolist(), places.tolist(), fields["target"].tolist(), strict=True):
        if image.bytes_at(place - 2, 1)[0] == image.machine.address_opcode:
            forming[target].add(index)
    several = {target for target, indexes in forming.items() if len(indexes) > 1}
    reader, found = Reader(image), defaultdict(set)
    for index in sorted({it for target in several for it in forming[target]}):
        for target, name in _handed(reader.read(*shapes.functions[index].item()), image.machine):
            if target in several:
                found[target].add(name)
    return {target: frozenset(names) for target, names in found.items() if len(names) > 1}


def _handed(code: Code, machine: Machine) -> list[tuple[int, str]]:
    """The addresses of functions that are arguments of calls of imported functions, with the names of these."""
    held: dict[str, int] = {}
    found: list[tuple[int, str]] = []
    for it in code:
        if it.is_call:
            if it.place is not None and it.place.kind == "import":
                given = (held[register] for register in machine.argument_registers if register in held)
                found.extend((target, it.place.name) for target in given)
            held.clear()
            continue
        for register in it.form.written:
            held.pop(register, None)
            if it.operation is Operation.ADDRESS and it.place is not None and it.place.kind == "function":
                held[register] = it.place.offset
    return found
