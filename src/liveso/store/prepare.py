"""The prepared copy of a version: what the dynamic linker opens in the target.

It differs from the version only in what the dynamic linker owns, so that opening it runs none of its code and
gives it no state of its own: initialisers, finalisers and thread-local storage are switched off, and so is the name by
which another object could get it instead of the library. Only a version that has new thread-local variables keeps its
block for them, and one that asks for its variables by TLS descriptors, so that the dynamic linker makes these.
"""

from collections.abc import Iterator

import numpy as np

from liveso.elf import Image, tables, version_needs

_SWITCHED_OFF = (
    tables.DT_INIT,
    tables.DT_FINI,
    tables.DT_INIT_ARRAY,
    tables.DT_FINI_ARRAY,
    tables.DT_INIT_ARRAYSZ,
    tables.DT_FINI_ARRAYSZ,
    tables.DT_SONAME,
)
MODULE_ROOM = 5
"""The words for a descriptor, and for the pair of module and place behind it with what glibc keeps there, too."""
# ld.so ignores unknown tags; this one is in the range for operating systems (gABI, "Dynamic Section") and unused there
_IGNORED_TAG = 0x6000_1000
_VERSION_FLAGS_OFFSET = 4  # of Elf64_Vernaux
_MODULES = 4
# more than that of any program's own block: the dynamic linker gives such a block no place at a fixed distance from the
# thread pointer, of which a process has few
_TOO_ALIGNED = 1 << 16
_ROOM_FOR_DETOURS = 4  # bytes of code for each byte of room
_LARGEST_PAGE = 1 << 16  # bytes: no machine has larger ones
_SEGMENT_ALIGNMENT, _INFO, _ADDEND = 48, 8, 16  # of Elf64_Phdr, Elf64_Rela


def prepare(image: Image, left_out: frozenset[int] = frozenset(), *, keeps_block: bool = False) -> bytes:
    """The bytes of the prepared copy of `image`, which has thread-local storage of its own if it `keeps_block`.

    The dynamic linker leaves the relocations in the rows `left_out` of the image's table alone, and looks for no
    version of other libraries' symbols before it needs one: relinking writes the words of what it would not find.
    Raises ImageError where the table of needed versions is broken.
    """
    content = bytearray(image.content)
    for index, (tag, _value) in enumerate(image.dynamic.tolist()):
        if tag in _SWITCHED_OFF:
            _put(content, image.dynamic_offset + index * tables.DYNAMIC.itemsize, _IGNORED_TAG + tag, 8)
    descriptors = own_descriptors(image)
    for index in np.flatnonzero(image.segments["type"] == tables.PT_TLS).tolist():
        start = image.segments_offset + index * tables.SEGMENT.itemsize
        if descriptors:
            _put(content, start + _SEGMENT_ALIGNMENT, _TOO_ALIGNED, 8)
        elif not keeps_block:
            _put(content, start, tables.PT_NULL, 4)
    if room := room_for_modules(image):
        index = _last_load(image)
        header = image.segments[index : index + 1].copy()
        header["memory_size"] = room.stop - int(header["address"][0])
        start = image.segments_offset + index * tables.SEGMENT.itemsize
        content[start : start + tables.SEGMENT.itemsize] = header.tobytes()
    if room := room_for_detours(image):
        _put_segment(content, image, room)
    for index in [*own_tls_relocations(image), *left_out]:
        _put(content, image.relocations_offset[index] + _INFO, image.machine.none, 4)
    for index, place in descriptors.items():
        start = image.relocations_offset[index]
        _put(content, start + _INFO, image.machine.tls_descriptor, 8)  # without a symbol: of the copy itself
        _put(content, start + _ADDEND, place, 8)
    for offset in _needed_versions(image) if left_out else ():
        _put(content, offset + _VERSION_FLAGS_OFFSET, tables.VER_FLG_WEAK, 2)
    return bytes(content)


def room_for_modules(image: Image) -> range:
    """The addresses, behind all that an image has in memory, where its prepared copy has room for MODULE_ROOM words
    each: for thread-local blocks other than its home's. Empty where it has none."""
    last = image.segments[_last_load(image)]
    if image.segment(tables.PT_TLS) is None or not int(last["flags"]) & tables.PF_W:
        return range(0)
    start, size = -(-image.size_in_memory // image.machine.word) * image.machine.word, MODULE_ROOM * image.machine.word
    return range(start, start + _MODULES * size, size)


def room_for_detours(image: Image) -> range:
    """The addresses, behind all that an image has in memory, where its prepared copy has room for code that relinking
    adds, a place each. Empty where it has none."""
    parts, index = image.machine.parts, _spare_segment(image)
    if parts is None or parts.detours is None or index is None:
        return range(0)
    behind = max(image.size_in_memory, room_for_modules(image).stop)
    start = -(-behind // _LARGEST_PAGE) * _LARGEST_PAGE
    code = sum(it.size for it in image.sections if it.is_code)
    size = -(-max(code // _ROOM_FOR_DETOURS, 1) // _LARGEST_PAGE) * _LARGEST_PAGE
    return range(start, start + size, -(-parts.detours.size // 8) * 8)


def _spare_segment(image: Image) -> int | None:
    """A program header that nobody needs in the copy, behind those of what is loaded, which are in order."""
    loads = np.flatnonzero(image.segments["type"] == tables.PT_LOAD)
    spare = np.flatnonzero(image.segments["type"] == tables.PT_NOTE)
    spare = spare[spare > loads.max()] if len(loads) else spare
    return int(spare[0]) if len(spare) else None


def _put_segment(content: bytearray, image: Image, room: range) -> None:
    """Zeros at the end of the file, in place of a segment that is not needed. (The dynamic linker maps segments with
    code again, where that is guarded by marks, as if all of their memory were the file's.)"""
    index = _spare_segment(image)
    assert index is not None
    header = image.segments[index : index + 1].copy()
    header["type"], header["flags"], header["align"] = tables.PT_LOAD, tables.PF_R | tables.PF_X, _LARGEST_PAGE
    header["address"] = header["physical"] = room.start
    header["file_size"] = header["memory_size"] = room.stop - room.start
    content += bytes(-len(content) % _LARGEST_PAGE)
    header["offset"] = len(content)
    content += bytes(room.stop - room.start)
    start = image.segments_offset + index * tables.SEGMENT.itemsize
    content[start : start + tables.SEGMENT.itemsize] = header.tobytes()


def _last_load(image: Image) -> int:
    loads = np.flatnonzero(image.segments["type"] == tables.PT_LOAD)
    return int(loads[np.argmax(image.segments["address"][loads])])


def _needed_versions(image: Image) -> Iterator[int]:
    """The file offsets of the entries (Elf64_Vernaux; LSB, "Symbol Version Requirements") that name a version which
    another library must have. Those of libc that stand for what the dynamic linker must be able to do are left out."""
    return (offset for offset, name in version_needs(image) if not name.startswith("GLIBC_ABI_"))


def own_tls_relocations(image: Image) -> list[int]:
    """The rows of `image.relocations` that concern its own thread-local storage: relinking writes their words."""
    rows = np.flatnonzero(np.isin(image.relocations["type"], sorted(image.machine.tls_relocations)))
    return [row for row in rows.tolist() if image.own_value(int(image.relocations["symbol"][row])) is not None]


def own_descriptors(image: Image) -> dict[int, int]:
    """Those of `own_tls_relocations` that are about TLS descriptors, by their rows. The prepared copy has them, too:
    only the dynamic linker can make a descriptor. There each has a place of its own, which is here, and none of a
    variable, since the dynamic linker makes one pair of module and place for all that are about the same place."""
    table = image.relocations
    rows = [it for it in own_tls_relocations(image) if table["type"][it] == image.machine.tls_descriptor]
    return {row: image.block_size + number for number, row in enumerate(rows, 1)}


def _put(content: bytearray, offset: int, number: int, size: int) -> None:
    content[offset : offset + size] = number.to_bytes(size, "little")
