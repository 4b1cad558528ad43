"""What a person knows a function by: its name, or else the exported functions that reach it."""

from dataclasses import dataclass
from functools import cached_property

from liveso.code import Shapes, function_names
from liveso.code.call_graph import Edges, backwards, call_edges
from liveso.elf import Image, printable, tables

_MOST_LOOKED_AT = 1000  # functions that lead to one: whoever is farther away than these says little about it


@dataclass(frozen=True, slots=True)
class FunctionLabel:
    """A function of one version. `name` is empty where it has none that is only its own; then `reached_by` are the
    exported functions from which calls lead to it past no other exported one, nearest first. None do where only
    pointers lead to it. `address` is relative to the load address."""

    name: str
    is_exported: bool
    address: int
    reached_by: tuple[str, ...]


class Labels:
    """The labels of an image's functions, by their indexes in `shapes`. What is exported is of `.dynsym`; other names
    are those of `.symtab`, where the file has one."""

    def __init__(self, image: Image, shapes: Shapes) -> None:
        self._image, self._shapes = image, shapes
        self._starts: list[int] = shapes.functions["start"].tolist()
        self._exported = {
            it.name: it.value
            for it in image.symbols
            if it.is_defined and it.name and it.type in (tables.STT_FUNC, tables.STT_GNU_IFUNC)
        }
        self.exported = frozenset(map(printable, self._exported))
        self.names: dict[int, str] = {}
        """The name of each address that has one, of all functions, exported ones first."""
        plain = {name.partition("@")[0]: address for name, address in function_names(image).items()}
        for name, address in sorted((plain | self._exported).items(), key=lambda it: self._preferred(it[0])):
            self.names.setdefault(address, printable(name))

    def _preferred(self, name: str) -> tuple[bool, bool, int, str]:
        return name not in self._exported, name.startswith("_"), len(name), name

    def __len__(self) -> int:
        return len(self._starts)

    def name(self, index: int) -> str:
        return self.names.get(self._starts[index], "")

    def exported_at(self, name: str) -> int:
        return self._exported.get(name, 0)

    def of(self, index: int) -> FunctionLabel:
        name = self.name(index)
        return FunctionLabel(
            name, name in self.exported, self._starts[index], () if name else tuple(self._reaching(index))
        )

    def _reaching(self, index: int) -> list[str]:
        found: list[str] = []
        seen, nearest = {index}, [index]
        while nearest and len(seen) < _MOST_LOOKED_AT:
            callers = {caller for it in nearest for caller in self._callers.get(it, ())} - seen
            seen |= callers
            names = {it: self.name(it) for it in callers}
            found += sorted(name for name in names.values() if name in self.exported)
            nearest = [it for it, name in names.items() if name not in self.exported]
        return found

    @cached_property
    def _callers(self) -> Edges:
        return backwards(call_edges(self._image, self._shapes))
