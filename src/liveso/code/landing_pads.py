"""Where functions go on when an exception passes one of their calls (LSB Core, "Exception Frames"; Itanium C++ ABI,
"Exception Handling Tables": the language-specific data area, as gcc and clang write it)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from liveso.code.functions import descriptions
from liveso.elf import Image, once_per_image
from liveso.elf.tables import Table

PAD = np.dtype([("start", "<i8"), ("end", "<i8"), ("pad", "<i8")])
"""An exception that passes the code from `start` to `end` goes on at `pad`."""

_PCREL_SDATA4, _ULEB128, _OMITTED = 0x1B, 0x01, 0xFF
_LONGEST_COMMON = 64  # bytes of a CIE up to the encodings
_LONGEST_AREA = 1 << 16  # bytes
_LARGEST = 1 << 31  # bytes of an image
_HEADER = 16  # bytes of an FDE before its augmentation data: length, CIE, start, range


@once_per_image
def landing_pads(image: Image) -> Table:
    """In the order of functions. What is written in another way is left out. Raises ImageError as `functions` does."""
    known: dict[int, bool] = {}
    rows: list[tuple[int, int, int]] = []
    for start, description in descriptions(image).tolist():
        common = description + 4 - int.from_bytes(image.bytes_at(description + 4, 4), "little")
        if common not in known:
            known[common] = _has_area(image.bytes_at(common, _LONGEST_COMMON))
        if known[common]:
            place = description + _HEADER + 1  # behind the length, one byte
            distance = int.from_bytes(image.bytes_at(place, 4), "little", signed=True)
            if distance:
                rows.extend(_call_sites(image.bytes_at(place + distance, _LONGEST_AREA), start))
    return np.array(rows, PAD)


def _has_area(common: bytes) -> bool:
    """Whether the FDEs of a CIE lead to an area by a distance of four bytes."""
    letters, _zero, rest = common[9:].partition(b"\0")
    if not letters.startswith(b"z") or b"L" not in letters:
        return False
    reader = _Reader(rest)
    for _factor in range(4):  # of code and data, the return address's register, the length of what follows
        reader.number()
    for letter in letters[1:].decode("latin-1"):
        if letter == "P":
            is_half = reader.byte() & 0xF in (0x3, 0xB)
            reader.position += 4 if is_half else 8
        elif letter == "L":
            return reader.byte() == _PCREL_SDATA4
        elif letter == "R":
            reader.byte()
    return False


def _call_sites(area: bytes, start: int) -> Iterator[tuple[int, int, int]]:
    reader = _Reader(area)
    if reader.byte() != _OMITTED:
        return
    if reader.byte() != _OMITTED:
        reader.number()
    if reader.byte() != _ULEB128:
        return
    end = reader.number()
    end += reader.position
    while reader.position < end:
        first, size, pad, _action = (reader.number() for _each in range(4))
        if pad and max(first, size, pad) < _LARGEST:
            yield start + first, start + first + size, start + pad


@dataclass(slots=True)
class _Reader:
    content: bytes
    position: int = 0

    def byte(self) -> int:
        self.position += 1
        return self.content[self.position - 1] if self.position <= len(self.content) else _OMITTED

    def number(self) -> int:
        """A number in LEB128 (DWARF 4, 7.6)."""
        found = shift = 0
        while self.position < len(self.content):
            byte = self.byte()
            found |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        return found
