"""Functions of two versions that are equal but for addresses: which variables they refer to."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from liveso.code import Place
from liveso.code.start_up import start_up_stubs
from liveso.compare.two_versions import TwoVersions
from liveso.compare.witness import KINDS, Kind, Witness

_Places = list[tuple[Place, int]]


class MovedReferences:
    """Compares functions of one shape: only what was left out of the shape can differ. `staying` is counted as
    Evidence.staying has it."""

    def __init__(self, versions: TwoVersions, staying: Counter[tuple[Kind, int]]) -> None:
        self._versions, self._staying = versions, staying
        self._fields = tuple(
            replace(shapes, fields=shapes.fields[reader.are_variables(shapes.fields["target"])])
            for reader, shapes in zip(versions.readers, versions.both, strict=True)
        )

    def found(self) -> Iterator[Witness]:
        """Witnesses among functions that are equal but for addresses. Functions of an ambiguous shape are compared as
        a group: only a group that refers to other places altogether is a witness."""
        groups: dict[int, list[tuple[_Places, _Places, int, int]]] = {}
        functions = self._versions.matching.old.functions
        start_up = start_up_stubs(self._versions.images[0], functions)
        for i, j in self._versions.matching.pairs:
            shape = self._versions.matching.old.shapes[i]
            if int(functions["start"][i]) in start_up:
                continue  # the linker's own, about the ends of sections
            if shape != self._versions.matching.new.shapes[j]:
                continue
            places = self._places(i, j)
            if places is None:
                continue
            if shape in self._versions.matching.ambiguous and self._versions.name(i).startswith("the "):
                groups.setdefault(shape, []).append((*places, i, j))
            else:
                yield from self._moved(*places, i, j)
        for group in groups.values():
            befores = Counter(place for before, _after, _i, _j in group for place, _at in before)
            if befores != Counter(self._versions.before(it) for _before, after, _i, _j in group for it, _at in after):
                for before, after, i, j in group:
                    yield from self._moved(before, after, i, j)

    def _places(self, i: int, j: int) -> tuple[_Places, _Places] | None:
        """The variables that both functions refer to, in order, with the references' addresses."""
        fields = self._fields[0].fields_of(i), self._fields[1].fields_of(j)
        if not (len(fields[0]) and len(fields[1])):
            return None
        found: list[_Places] = []
        for reader, rows in zip(self._versions.readers, fields, strict=True):
            found.append(
                [(place, int(at)) for at, target in rows.tolist() if (place := reader.variable(target)) is not None]
            )
        return (found[0], found[1]) if found[0] or found[1] else None

    def _moved(self, before: _Places, after: _Places, i: int, j: int) -> Iterator[Witness]:
        pairs = list(zip(before, after, strict=False))
        stayed = [old for (old, _at), (new, there) in pairs if self._versions.is_same_variable(old, new, there)]
        self._staying.update({(KINDS[old.kind], old.offset) for old in stayed})
        moved = [
            (old, new, at, there)
            for (old, at), (new, there) in pairs
            if old.kind == new.kind and not self._versions.is_same_variable(old, new, there)
        ]
        if moved:  # a few fields are other bytes that only look like one: decoding tells
            known = [
                {it.place for it in reader.read(*shapes.functions[index].item())}
                for reader, shapes, index in zip(self._versions.readers, self._versions.both, (i, j), strict=True)
            ]
            for old, new, at, there in moved:
                if old in known[0] and new in known[1]:
                    yield self._versions.variable(old, new, i, at, there)
