"""The types of two versions, as their debug information has them."""

from dataclasses import dataclass
from functools import cached_property

from liveso.debug.debug_files import DebugSource
from liveso.debug.debug_info import DebugInfo, Layout, read_debug_info
from liveso.debug.type_census import Census, is_unchanged, take_census
from liveso.elf import Image


@dataclass(frozen=True)
class ComparedTypes:
    """Compares the debug information of two versions; where to look for it, `source` says."""

    images: tuple[Image, Image]
    source: DebugSource

    @cached_property
    def old(self) -> DebugInfo:
        """That of the older version."""
        return read_debug_info(self.images[0], self.source, self.source.origins[0])

    @cached_property
    def new(self) -> DebugInfo:
        """That of the newer one."""
        return read_debug_info(self.images[1], self.source, self.source.origins[1])

    @cached_property
    def changed(self) -> list[tuple[str, Layout, Layout]]:
        """The named types whose layout is not the same in both versions: name, old, new. Where a name stands for
        several types, each old one must be among the new ones."""
        found = []
        old, new = _all_types(self.old), _all_types(self.new)
        for name in sorted(old.keys() & new.keys()):
            for layout in sorted(old[name] - new[name], key=repr):
                candidates = sorted(new[name] - old[name] or new[name], key=repr)
                found.append((name, layout, candidates[0]))
        return found

    @cached_property
    def agree(self) -> bool:
        """Whether both versions have debug information that could be read to its end, and no type differs in it."""
        if not (self.old.knows_all and self.new.knows_all) or self.changed:
            return False
        return is_unchanged(*self._censuses)

    def describe(self, old: int, new: int) -> bool:
        """Whether the code at an address of each version is of a part whose types are known."""
        before, after = self._censuses
        return before is not None and after is not None and before.describes(old) and after.describes(new)

    @cached_property
    def _censuses(self) -> tuple[Census | None, Census | None]:
        before, after = (
            take_census((image.content, *(it.read_bytes() for it in debug.files)))
            for image, debug in zip(self.images, (self.old, self.new), strict=True)
        )
        return before, after


def _all_types(it: DebugInfo) -> dict[str, set[Layout]]:
    return {
        name: it.reachable.get(name, set()) | it.others.get(name, set())
        for name in it.reachable.keys() | it.others.keys()
    }
