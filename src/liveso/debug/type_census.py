"""Every structure, union and class in a version's debug information, also those that no variable and no parameter leads
to: code may reach them by a cast alone."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from elftools.common.exceptions import DWARFError
from elftools.dwarf.die import DIE
from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.elffile import ELFFile

from liveso.elf.compression import check_compressed

_LARGEST = 32 << 20  # bytes of .debug_info: about a minute
_COMPOUND = {"DW_TAG_structure_type": "struct", "DW_TAG_class_type": "struct", "DW_TAG_union_type": "union"}
_TRANSPARENT = frozenset(
    {"DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type", "DW_TAG_atomic_type"}
)
_POINTERS = frozenset(
    {"DW_TAG_pointer_type", "DW_TAG_reference_type", "DW_TAG_rvalue_reference_type", "DW_TAG_ptr_to_member_type"}
)
_PARTS = frozenset({"DW_TAG_member", "DW_TAG_inheritance"})
_ASSEMBLER = 0x8001  # DW_LANG_Mips_Assembler, of which there are no types to tell


@dataclass(frozen=True, slots=True)
class Census:
    """`layouts` are those that each name stands for; those without one are under the empty name. `code` is that of the
    units of compilation whose types are among them: what was compiled without debug information is not."""

    layouts: dict[str, frozenset[tuple[object, ...]]]
    code: tuple[range, ...]

    def describes(self, address: int) -> bool:
        """Whether an instruction is of a unit whose types are known."""
        return any(address in it for it in self.code)


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
    if old is None or new is None:
        return False
    return all(layouts <= new.layouts.get(name, set()) for name, layouts in old.layouts.items())


class _Counter:
    """Counts the types of `size` bytes of debug information. An entry takes a byte at least: where far more are met,
    damaged ones lead back to others."""

    def __init__(self, size: int) -> None:
        self._left = 4 * size

    def count(self, information: Any) -> Census | None:
        found: dict[str, set[tuple[object, ...]]] = {}
        code: list[range] = []
        for unit in information.iter_CUs():
            attributes = unit.get_top_DIE().attributes
            if "DW_AT_GNU_dwo_name" in attributes or "DW_AT_dwo_name" in attributes:
                return None
            is_assembler = "DW_AT_language" in attributes and attributes["DW_AT_language"].value == _ASSEMBLER
            if self._take_in(unit, found) or is_assembler:
                code.extend(_code(information, unit))
        for unit in information.iter_TUs():
            self._take_in(unit, found)
        return Census({name: frozenset(layouts) for name, layouts in found.items()}, tuple(code))

    def _take_in(self, unit: Any, found: dict[str, set[tuple[object, ...]]]) -> bool:
        """Whether the unit has types: with lines alone (`-g1`) it has none."""
        has_types = False
        for entry in self._counted(unit.iter_DIEs()):
            has_types = has_types or entry.tag == "DW_TAG_base_type" or entry.tag in _COMPOUND
            if entry.tag in _COMPOUND and "DW_AT_declaration" not in entry.attributes:
                found.setdefault(_name(entry), set()).add(self._layout(entry))
        return has_types

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


def _code(information: Any, unit: Any) -> Iterator[range]:
    """Where the code of a unit lies (DWARF 5, 3.1.1 and 2.17)."""
    attributes = unit.get_top_DIE().attributes
    base = attributes["DW_AT_low_pc"].value if "DW_AT_low_pc" in attributes else 0
    if "DW_AT_ranges" in attributes:
        for it in information.range_lists().get_range_list_at_offset(attributes["DW_AT_ranges"].value, unit):
            if isinstance(it, BaseAddressEntry):
                base = it.base_address
            else:
                start = 0 if it.is_absolute else base
                yield range(start + it.begin_offset, start + it.end_offset)
    elif "DW_AT_high_pc" in attributes:
        high = attributes["DW_AT_high_pc"]
        yield range(base, high.value if high.form in ("DW_FORM_addr", "DW_FORM_addrx") else base + high.value)


def _name(entry: DIE) -> str:
    attribute = entry.attributes.get("DW_AT_name")
    return attribute.value.decode("utf-8", "replace") if attribute else ""


def _number(entry: DIE, attribute: str) -> object:
    found = entry.attributes.get(attribute)
    return tuple(found.value) if found and isinstance(found.value, list) else found.value if found else None
