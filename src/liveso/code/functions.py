"""The functions of an image, as ranges of addresses, from the table that unwinding uses."""

import numpy as np

from liveso.elf import Image, once_per_image, tables
from liveso.elf.tables import Table
from liveso.errors import ImageError

FUNCTION = np.dtype([("start", "<u8"), ("end", "<u8")])

_ENTRY = np.dtype([("start", "<i4"), ("description", "<i4")])
_PCREL_SDATA4, _DATAREL_SDATA4, _UDATA4 = 0x1B, 0x3B, 0x03


@once_per_image
def functions(image: Image) -> Table:
    """All functions that have an unwind entry: an array of `start` and `end` addresses, sorted, without overlap.

    Source: LSB Core, "Exception Frames" and ".eh_frame_hdr". Empty where an image has no such table. Raises
    ImageError where it has one that cannot be read.
    """
    segment = image.segment(tables.PT_GNU_EH_FRAME)
    if segment is None:
        return np.zeros(0, FUNCTION)
    header = int(segment["address"])
    head = image.bytes_at(header, 12)
    if head[0] != 1 or head[1] != _PCREL_SDATA4 or head[2] != _UDATA4 or head[3] != _DATAREL_SDATA4:
        raise ImageError("its .eh_frame_hdr has an encoding that no known linker writes")
    count = int.from_bytes(head[8:12], "little")
    if count * _ENTRY.itemsize + 12 > int(segment["memory_size"]):
        raise ImageError("its .eh_frame_hdr is longer than its segment")
    entries = np.frombuffer(image.bytes_at(header + 12, count * _ENTRY.itemsize), _ENTRY)
    starts = entries["start"].astype("<i8") + header
    return _with_ends(image, starts, entries["description"].astype("<i8") + header)


def _with_ends(image: Image, starts: Table, descriptions: Table) -> Table:
    """Read each frame description's `pc_range`, all at once: 32-bit lengths and pcrel sdata4, as linkers write them."""
    if not len(starts):
        return np.zeros(0, FUNCTION)
    low, high = int(descriptions.min()), int(descriptions.max())
    offset = image.file_offset(low)
    if offset is None or offset + high - low + 16 > len(image.content):
        raise ImageError("its .eh_frame lies outside of the file")
    frames = np.frombuffer(image.content, np.uint8, count=high - low + 16, offset=offset)
    places = descriptions - low
    lengths = _words(frames, places)
    if (lengths == 0xFFFFFFFF).any():
        raise ImageError("its .eh_frame has entries of the 64-bit format")
    if ((descriptions + 8 + _words(frames, places + 8).astype("<i4")) != starts).any():
        raise ImageError("its .eh_frame encodes addresses in an unknown way")
    found = np.zeros(len(starts), FUNCTION)
    found["start"] = starts
    found["end"] = starts + _words(frames, places + 12)
    found.sort(order="start")
    if (found["end"][:-1] > found["start"][1:]).any():
        raise ImageError("its functions overlap")
    return found


def _words(content: Table, places: Table) -> Table:
    """The four-byte numbers at `places`."""
    gathered = content[places[:, None] + np.arange(4)]
    return np.ascontiguousarray(gathered).view("<u4")[:, 0]
