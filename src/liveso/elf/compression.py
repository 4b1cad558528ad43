"""Sections that are compressed (gABI, "Section Compression"; `.zdebug_…` of older GNU tools): debug information.

What they say they hold is believed by every reader, and can be a thousand times what the file has.
"""

import zlib

from liveso.elf.image import Section
from liveso.elf.reading import read_sections
from liveso.elf.tables import SHF_COMPRESSED
from liveso.errors import ImageError

_MOST_PER_BYTE = 32  # of a file; debug information takes a third of its size when it is compressed
_HEADER, _OLD_HEADER = 24, 12  # bytes
_ZLIB = 1


def check_compressed(content: bytes) -> None:
    """Raises ImageError where the compressed sections of a file say that they hold far more than it can have, or where
    it is no ELF file."""
    sections = read_sections(content)
    if sum(_size(content, it) for it in sections) > _MOST_PER_BYTE * len(content):
        raise ImageError("its compressed sections say that they hold far more than the file can have")


def uncompressed(content: bytes, section: Section) -> bytes:
    """The bytes of a section, of a file that `check_compressed` has seen. Raises ImageError where they cannot be
    had."""
    size, found = _size(content, section), content[section.offset : section.offset + section.size]
    if not size:
        return found
    is_old = not section.flags & SHF_COMPRESSED
    if not is_old and int.from_bytes(found[:4], "little") != _ZLIB:
        raise ImageError(f"its section {section.name} is compressed in an unknown way")
    try:
        return zlib.decompressobj().decompress(found[_OLD_HEADER if is_old else _HEADER :], size)
    except zlib.error as error:
        raise ImageError(f"its section {section.name} is damaged: {error}") from error


def _size(content: bytes, section: Section) -> int:
    """What a compressed section says that it holds, in bytes; 0 where it is not compressed."""
    if not section.has_bytes:
        return 0
    head = content[section.offset : section.offset + _HEADER]
    if section.flags & SHF_COMPRESSED:
        return int.from_bytes(head[8:16], "little")
    if section.name.startswith(".zdebug") and head.startswith(b"ZLIB"):
        return int.from_bytes(head[4:12], "big")
    return 0
