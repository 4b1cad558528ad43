"""The functions of an image, as ranges of addresses, from the table that unwinding uses."""

import numpy as np

from liveso.elf import Image, once_per_image, tables
from liveso.elf.sets import distinct
from liveso.elf.tables import Table
from liveso.errors import ImageError

LARGE_MODEL = (
    "its code was compiled for the large code model (-mcmodel=large), in which references to variables cannot be "
    "followed; compile it for the default model"
)
FUNCTION = np.dtype([("start", "<u8"), ("end", "<u8")])

_ENTRY = np.dtype([("start", "<i4"), ("description", "<i4")])
_PCREL_SDATA4, _PCREL_SDATA8, _DATAREL_SDATA4, _UDATA4 = 0x1B, 0x1C, 0x3B, 0x03
_COMMON_HEADER = 9  # bytes of a CIE before its augmentation string: length, ID, version
_LONGEST_COMMON = 64  # bytes of a CIE up to the encodings


@once_per_image
def functions(image: Image) -> Table:
    """All functions that have an unwind entry: an array of `start` and `end` addresses, sorted, without overlap, all of
    them in the file.

    Source: LSB Core, "Exception Frames" and ".eh_frame_hdr". Empty where an image has no such table. Raises
    ImageError where it has one that cannot be read.
    """
    starts, places = descriptions(image).T
    return _with_ends(image, starts, places)


@once_per_image
def descriptions(image: Image) -> Table:
    """The addresses of the functions that have an unwind entry, each with that of its description (FDE), as the table
    has them. Raises ImageError as `functions` does."""
    segment = image.segment(tables.PT_GNU_EH_FRAME)
    if segment is None:
        return np.zeros((0, 2), "<i8")
    header, size = int(segment["address"]), int(segment["file_size"])
    head = image.bytes_at(header, 12)
    if head[0] != 1 or head[1] != _PCREL_SDATA4 or head[2] != _UDATA4 or head[3] != _DATAREL_SDATA4:
        raise ImageError("its unwind table (.eh_frame_hdr) has an encoding that no known linker writes")
    count = int.from_bytes(head[8:12], "little")
    if count * _ENTRY.itemsize + 12 > size:
        raise ImageError("its unwind table (.eh_frame_hdr) is longer than its segment")
    entries = np.frombuffer(image.bytes_at(header + 12, count * _ENTRY.itemsize), _ENTRY)
    return np.stack([entries[name].astype("<i8") + header for name in ("start", "description")], axis=1)


def _with_ends(image: Image, starts: Table, descriptions: Table) -> Table:
    """Read each frame description's `pc_range`, all at once: 32-bit lengths and pcrel sdata4, as linkers write them."""
    if not len(starts):
        return np.zeros(0, FUNCTION)
    low, high = int(descriptions.min()), int(descriptions.max())
    offset = image.file_offset(low)
    if offset is None or not image.are_filled(low, high + 16):
        raise ImageError("its unwind entries (.eh_frame) lie outside of the file")
    frames = np.frombuffer(image.content, np.uint8, count=high - low + 16, offset=offset)
    places = descriptions - low
    lengths = _words(frames, places)
    if (lengths == 0xFFFFFFFF).any():
        raise ImageError("its unwind table (.eh_frame) has entries of the 64-bit format")
    _check_encodings(image, distinct(descriptions + 4 - _words(frames, places + 4).astype("<i8")))
    if ((descriptions + 8 + _words(frames, places + 8).astype("<i4")) != starts).any():
        raise ImageError("its unwind table (.eh_frame) and the index of it (.eh_frame_hdr) do not agree")
    ends = starts + _words(frames, places + 12)
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], ends[order]
    if (ends[:-1] > starts[1:]).any():
        index = int((ends[:-1] > starts[1:]).argmax())
        raise ImageError(f"its unwind table says that the functions at {starts[index]:#x} and behind it overlap")
    if not _are_filled(image, starts, ends):
        raise ImageError("its unwind table has functions outside of the file")
    found = np.zeros(len(starts), FUNCTION)
    found["start"], found["end"] = starts, ends
    return found


def _check_encodings(image: Image, commons: Table) -> None:
    """Raises ImageError where the entries that begin with one of `commons` (CIEs) have addresses of another size than
    four bytes."""
    for address in commons.tolist():
        encoding = _encoding(image.bytes_at(address, _LONGEST_COMMON)) if image.file_offset(address) else None
        if encoding == _PCREL_SDATA8:
            raise ImageError(LARGE_MODEL)
        if encoding != _PCREL_SDATA4:
            raise ImageError("its unwind table (.eh_frame) encodes addresses in an unknown way")


def _encoding(common: bytes) -> int | None:
    """How a CIE says that addresses are encoded (LSB Core, "Augmentation String Format")."""
    end = common.find(b"\0", _COMMON_HEADER)
    letters, position = common[_COMMON_HEADER:end], end + 1
    if end < 0 or not letters.startswith(b"z"):
        return None
    position = _after_number(common, _after_number(common, position))  # the factors of code and data
    position = position + 1 if common[8] == 1 else _after_number(common, position)  # the return address's register
    position = _after_number(common, position)  # the length of what follows
    for letter in letters[1:]:
        if letter == ord("R"):
            return common[position] if position < len(common) else None
        if letter in b"LP":
            size = {0x0: 8, 0x3: 4, 0x4: 8, 0xB: 4, 0xC: 8}.get(common[position] & 0xF) if position < len(common) else 0
            if letter == ord("P") and not size:
                return None
            position += 1 + (size or 0) * (letter == ord("P"))
        elif letter not in b"SB":  # a signal's frame, and pointers that are signed (AArch64)
            return None
    return None


def _after_number(content: bytes, position: int) -> int:
    """The place behind a LEB128 number (DWARF 4, 7.6)."""
    while position < len(content) and content[position] & 0x80:
        position += 1
    return position + 1


def _are_filled(image: Image, starts: Table, ends: Table) -> bool:
    """Whether the file has all bytes of these ranges, which are sorted."""
    loads = image.segments[image.segments["type"] == tables.PT_LOAD]
    bounds = loads["address"].astype("<i8")
    filled = np.append(np.zeros(1, "<i8"), bounds + loads["file_size"].astype("<i8"))
    return bool((ends <= filled[np.searchsorted(bounds, starts, side="right")]).all()) and bool((starts >= 0).all())


def _words(content: Table, places: Table) -> Table:
    """The four-byte numbers at `places`."""
    gathered = content[places[:, None] + np.arange(4)]
    return np.ascontiguousarray(gathered).view("<u4")[:, 0]


def holders(known: Table, addresses: Table) -> tuple[Table, Table]:
    """For each address the last of the functions `known` that begins there or before, by its index, -1 where none does;
    and whether it holds the address."""
    starts, ends = (known[name].astype("<i8") for name in ("start", "end"))
    before = np.searchsorted(starts, addresses.astype("<i8"), side="right") - 1
    inside: Table = (before >= 0) & (addresses < np.append(ends, 0)[before])
    return before, inside
