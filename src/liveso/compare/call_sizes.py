"""Objects whose size changed, as the calls of allocators tell."""

from collections.abc import Iterator

from liveso.code import CallSite, Code, call_sites
from liveso.compare.constructed import constructed_class
from liveso.compare.two_versions import TwoVersions
from liveso.compare.witness import CLASS_SIZES, Kind, Witness

_NEW = "_Znwm"


class SizeComparison:
    """Compares what two versions of a function give to allocators."""

    def __init__(self, versions: TwoVersions) -> None:
        self._versions = versions

    def changed(self, old: Code, new: Code, pairs: list[tuple[int, int]], i: int) -> list[Witness]:
        """The witnesses of the function with the index `i`, whose calls at the addresses `pairs` belong together."""
        sites = tuple(
            call_sites(code, reader.machine) for code, reader in zip((old, new), self._versions.readers, strict=True)
        )
        found: list[Witness] = []
        for here, there in pairs:
            if here in sites[0] and there in sites[1]:
                found.extend(self._sizes(sites[0][here], sites[1][there], i))
        found.extend(self._objects(list(sites[0].values()), list(sites[1].values()), i))
        others = {
            (it.old, it.new)
            for it in found
            if it.callee == _NEW and self._make_others((old, new), (it.old_address, it.new_address))
        }
        return [it for it in found if it.callee not in CLASS_SIZES or (it.old, it.new) not in others]

    def _make_others(self, codes: tuple[Code, Code], calls: tuple[int, int]) -> bool:
        """Whether what the two calls return is made an object of two classes."""
        versions = self._versions
        names = versions.names, versions.new_names
        one, other = (
            constructed_class(code, call, known, reader.machine)
            for code, call, known, reader in zip(codes, calls, names, versions.readers, strict=True)
        )
        return bool(one and other) and one != other

    def _sizes(self, a: CallSite, b: CallSite, i: int) -> Iterator[Witness]:
        """A call that is given another size: of an allocator, or through a pointer, which is taken for one."""
        if a.is_about_stack or b.is_about_stack or (a.callee is None) != (b.callee is None):
            return
        for argument in a.constants.keys() & b.constants.keys():
            old, new = a.constants[argument], b.constants[argument]
            if old == new:
                continue
            if a.callee is None or b.callee is None:
                is_size, callee = old % 8 == new % 8 == 0, "a function pointer"
            else:
                is_size = all(
                    argument in allocators.size_arguments(place)
                    for allocators, place in zip(self._versions.allocators, (a.callee, b.callee), strict=True)
                )
                callee = a.callee.name or "an allocator of its own"
            if is_size:
                yield Witness(Kind.SIZE, old, new, self._versions.name(i), a.address, b.address, callee)

    def _objects(self, old: list[CallSite], new: list[CallSite], i: int) -> Iterator[Witness]:
        """`new` and sized `delete` are told the size of a class, wherever in the function the compiler puts them: one
        size less and another one more, among equally many, is a class that grew."""
        for name, argument in CLASS_SIZES.items():
            before, after = (
                {it.constants[argument]: it.address for it in sites if _is_told(it, name, argument)}
                for sites in (old, new)
            )
            gone, come = before.keys() - after.keys(), after.keys() - before.keys()
            if len(gone) == len(come) == 1:
                (was,), (becomes,) = gone, come
                yield Witness(Kind.SIZE, was, becomes, self._versions.name(i), before[was], after[becomes], name)


def _is_told(it: CallSite, name: str, argument: int) -> bool:
    return it.callee is not None and it.callee.name == name and argument in it.constants
