"""Which functions of an image lead to which: those that they call, and those whose address they form."""

from collections.abc import Iterable

import numpy as np

from liveso.code.imports import slot_names, stub_names
from liveso.code.shapes import Shapes
from liveso.elf import Image

Edges = dict[int, set[int]]
"""The functions that each one leads to, by their indexes in Shapes.functions."""


def call_edges(image: Image, it: Shapes) -> Edges:
    """Found without decoding, among the places that the linker fills in: a few are other bytes that only look like one,
    and calls through pointers are not among them."""
    starts = it.functions["start"].astype("<i8")
    indexes = {start: index for index, start in enumerate(starts.tolist())}
    own = {symbol.name: symbol.value for symbol in image.symbols if symbol.is_defined and symbol.name}
    slots = slot_names(image)
    leads = {at: own[name] for at, name in {**stub_names(image, slots), **slots}.items() if name in own}
    inside = np.searchsorted(starts, it.fields["place"].astype("<i8"), side="right") - 1
    edges: Edges = {}
    for caller, target in zip(inside.tolist(), it.fields["target"].tolist(), strict=True):
        callee = indexes.get(leads.get(target, target))
        if callee is not None and caller >= 0:
            edges.setdefault(caller, set()).add(callee)
    return edges


def reached(edges: Edges, starts: Iterable[int]) -> set[int]:
    """The functions that some lead to, in any number of steps, with themselves."""
    found, waiting = set[int](), list(starts)
    while waiting:
        it = waiting.pop()
        if it not in found:
            found.add(it)
            waiting.extend(edges.get(it, ()))
    return found


def backwards(edges: Edges) -> Edges:
    found: Edges = {}
    for caller, callees in edges.items():
        for callee in callees:
            found.setdefault(callee, set()).add(caller)
    return found
