"""Every structure, union and class in a version's debug information, also those that no variable and no parameter leads
to: code may reach them by a cast alone."""

import io
from collections.abc import Iterable, Iterator
from typing import Any

from elftools.common.exceptions import DWARFError
from elftools.dwarf.die import DIE
from elftools.elf.elffile import ELFFile

from liveso.elf.compression import check_compressed

Census = dict[str, frozenset[tuple[object, ...]]]
"""The layouts that each name stands for; those without one are under the empty name."""

_LARGEST = 32 << 20  # bytes of .debug_info: about a minute
_COMPOUND = {"DW_TAG_structure_type": "struct", "DW_TAG_class_type": "struct", "DW_TAG_union_type": "union"}
_TRANSPARENT = frozenset(
    {"DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type", "DW_TAG_atomic_type"}
)
_POINTERS = frozenset(
    {"DW_TAG_pointer_type", "DW_TAG_reference_type", "DW_TAG_rvalue_reference_type", "DW_TAG_ptr_to_member_type"}
)
_PARTS = frozenset({"DW_TAG_member", "DW_TAG_inheritance"})


def take_census(contents: Iterable[bytes]) -> Census | None:
    """Read the first of the files that has debug information; None where it cannot be read completely: it is shared
    with other files (dwz), split, too large, or damaged."""
    for content in contents:
        try:
            check_compressed(content)
            elf = ELFFile(io.BytesIO(content))
            entries = elf.get_section_by_name(".debug_info")
            if entries is None:
                continue
            if entries.data_size > _LARGEST or elf.get_section_by_name(".gnu_debugaltlink"):
                return None
            information = elf.get_dwarf_info(relocate_dwarf_sections=False, follow_links=False)
            return _Counter(entries.data_size).count(information)
        except Exception:  # damaged: pyelftools lets errors of all kinds through, those of its parser (construct), too
            return None
    return None


def is_unchanged(old: Census | None, new: Census | None) -> bool:
    """Whether both are known, and each layout of the old version is one of the new one's under the same name."""
    return old is not None and new is not None and all(layouts <= new.get(name, set()) for name, layouts in old.items())


class _Counter:
    """Counts the types of `size` bytes of debug information. An entry takes a byte at least: where far more are met,
    damaged ones lead back to others."""

    def __init__(self, size: int) -> None:
        self._left = 4 * size

    def count(self, information: Any) -> Census | None:
        found: dict[str, set[tuple[object, ...]]] = {}
        for unit in information.iter_CUs():
            attributes = unit.get_top_DIE().attributes
            if "DW_AT_GNU_dwo_name" in attributes or "DW_AT_dwo_name" in attributes:
                return None
            self._take_in(unit, found)
        for unit in information.iter_TUs():
            self._take_in(unit, found)
        return {name: frozenset(layouts) for name, layouts in found.items()}

    def _take_in(self, unit: Any, found: dict[str, set[tuple[object, ...]]]) -> None:
        for entry in self._counted(unit.iter_DIEs()):
            if entry.tag in _COMPOUND and "DW_AT_declaration" not in entry.attributes:
                found.setdefault(_name(entry), set()).add(self._layout(entry))

    def _counted(self, entries: Iterable[DIE]) -> Iterator[DIE]:
        for entry in entries:
            self._left -= 1
            if self._left < 0:
                raise DWARFError("the entries lead back to others")
            yield entry

    def _layout(self, entry: DIE) -> tuple[object, ...]:
        return _COMPOUND[str(entry.tag)], _number(entry, "DW_AT_byte_size"), tuple(self._members(entry))

    def _members(self, entry: DIE) -> Iterator[tuple[object, ...]]:
        for child in self._counted(entry.iter_children()):
            if child.tag in _PARTS and "DW_AT_external" not in child.attributes:
                places = ("DW_AT_data_member_location", "DW_AT_data_bit_offset", "DW_AT_bit_offset", "DW_AT_bit_size")
                yield _name(child), *(_number(child, it) for it in places), self._form(child)

    def _form(self, entry: DIE) -> object:
        """The type of a member, as far as the layout goes."""
        if "DW_AT_type" not in entry.attributes:
            return None
        it = entry.get_DIE_from_attribute("DW_AT_type")
        if it.tag in _TRANSPARENT:
            return self._form(it)
        if it.tag in _POINTERS:
            return "pointer"
        if it.tag == "DW_TAG_array_type":
            parts = list(self._counted(it.iter_children()))
            counts = [_number(one, "DW_AT_count") or _number(one, "DW_AT_upper_bound") for one in parts]
            return "array", tuple(counts), self._form(it)
        if it.tag in _COMPOUND:
            return _name(it) or self._layout(it)
        return "number", _number(it, "DW_AT_byte_size"), self._form(it)


def _name(entry: DIE) -> str:
    attribute = entry.attributes.get("DW_AT_name")
    return attribute.value.decode("utf-8", "replace") if attribute else ""


def _number(entry: DIE, attribute: str) -> object:
    found = entry.attributes.get(attribute)
    return tuple(found.value) if found and isinstance(found.value, list) else found.value if found else None
