"""Functions whose address code hands to several functions of other libraries: to one that keeps it, and to one that
looks for it again (`apr_pool_cleanup_register` and `apr_pool_cleanup_kill`)."""

from collections import defaultdict

import numpy as np

from liveso.code.address_parts import address_parts
from liveso.code.form import Operation
from liveso.code.instructions import Code, Reader
from liveso.code.shapes import Shapes
from liveso.elf import Image
from liveso.elf.sets import among
from liveso.elf.tables import Table
from liveso.machine import Machine


def handed_functions(image: Image, shapes: Shapes) -> dict[int, frozenset[str]]:
    """The functions of `image`, by address, whose own address is an argument of calls of more than one imported
    function, with the names of those. `shapes` are the image's."""
    starts = shapes.functions["start"].astype("<i8")
    places, targets = _formed(image, shapes, starts)
    inside = np.searchsorted(starts, places, side="right") - 1
    forming: dict[int, set[int]] = defaultdict(set)
    for index, target in zip(inside.tolist(), targets.tolist(), strict=True):
        forming[target].add(index)
    several = {target for target, indexes in forming.items() if len(indexes) > 1}
    reader, found = Reader(image), defaultdict(set)
    for index in sorted({it for target in several for it in forming[target]}):
        for target, name in _handed(reader.read(*shapes.functions[index].item()), image.machine):
            if target in several:
                found[target].add(name)
    return {target: frozenset(names) for target, names in found.items() if len(names) > 1}


def _formed(image: Image, shapes: Shapes, starts: Table) -> tuple[Table, Table]:
    """The places of instructions that form the address of a function, and that address."""
    if image.machine.code_words is not None:
        rows = address_parts(image).rows
        rows = rows[rows["forms_address"] & among(rows["target"], starts)]
        return rows["place"], rows["target"]
    fields = shapes.fields[among(shapes.fields["target"], starts)]
    opcodes = np.array([image.bytes_at(place - 2, 1)[0] for place in fields["place"].tolist()], np.uint8)
    fields = fields[opcodes == image.machine.address_opcode]
    return fields["place"].astype("<i8"), fields["target"]


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
