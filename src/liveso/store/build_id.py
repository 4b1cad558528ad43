"""The build ID of a file, from its first pages: the file need not be read for it, nor parsed."""

import os
import struct
from collections.abc import Iterator

_HEADER, _SEGMENT, _NOTE = struct.Struct("<32xQ14xHH"), struct.Struct("<I4xQ16xQ16x"), struct.Struct("<III")
_PT_NOTE, _NT_GNU_BUILD_ID = 4, 3
_MOST_SEGMENTS, _MOST_BYTES = 256, 1 << 16  # more than a linker makes; a file cannot keep the reader busy


def read_build_id(descriptor: int) -> str:
    """The build ID of an ELF64 little-endian file (gABI, "Note Section"; ld(1), --build-id), in hexadecimal; empty
    where it has none. Raises OSError."""
    header = os.pread(descriptor, _HEADER.size, 0)
    if len(header) < _HEADER.size:
        return ""
    start, entry_size, count = _HEADER.unpack(header)
    if start >= 1 << 62 or entry_size != _SEGMENT.size:
        return ""
    table = os.pread(descriptor, min(count, _MOST_SEGMENTS) * _SEGMENT.size, start)
    for kind, offset, size in _SEGMENT.iter_unpack(table[: len(table) // _SEGMENT.size * _SEGMENT.size]):
        if kind == _PT_NOTE and offset < 1 << 62:
            for name, note, content in _notes(os.pread(descriptor, min(size, _MOST_BYTES), offset)):
                if (name, note) == (b"GNU\0", _NT_GNU_BUILD_ID):
                    return content.hex()
    return ""


def _notes(content: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    position = 0
    while position + _NOTE.size <= len(content):
        name_size, size, kind = _NOTE.unpack_from(content, position)
        name = position + _NOTE.size
        start = name + -(-name_size // 4) * 4
        yield content[name : name + name_size], kind, content[start : start + size]
        position = start + -(-size // 4) * 4
