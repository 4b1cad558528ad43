"""How a library is damaged: bits, its end, and above all the numbers in its tables, which are set to extreme values."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np

from liveso.elf import Image, tables

_TABLES = {
    ".dynsym": tables.SYMBOL,
    ".symtab": tables.SYMBOL,
    ".dynamic": tables.DYNAMIC,
    ".rela.dyn": tables.RELOCATION,
    ".rela.plt": tables.RELOCATION,
    ".relr.dyn": np.dtype([("word", "<u8")]),
    ".gnu.version": np.dtype([("index", "<u2")]),
    ".init_array": np.dtype([("word", "<u8")]),
    ".data.rel.ro": np.dtype([("word", "<u8")]),
}
_NUMBERS = (".gnu.version_d", ".gnu.version_r", ".eh_frame_hdr", ".eh_frame", ".gnu.hash", ".hash")
_NOTES_AND_DEBUG = (".note", ".debug", ".zdebug")


@dataclass(frozen=True, slots=True)
class Field:
    """A number in the file: its place and size, in bytes."""

    at: int
    size: int


def mutant(image: Image, chance: Random) -> bytes:
    """A damaged copy of a library."""
    content = bytearray(image.content)
    kinds: tuple[tuple[Callable[[Image, bytearray, Random], None], int], ...] = (
        (_set_fields, 12),
        (_flip_bits, 3),
        (_copy_part, 1),
        (_cut, 1),
    )
    (damage,) = chance.choices([it for it, _weight in kinds], [weight for _it, weight in kinds])
    damage(image, content, chance)
    return bytes(content)


def _set_fields(image: Image, content: bytearray, chance: Random) -> None:
    for _number in range(chance.choice((1, 1, 1, 2, 3, 8))):
        it = _field(image, chance)
        before = int.from_bytes(content[it.at : it.at + it.size], "little")
        value = chance.choice(
            (
                *(0, 1, -1, 2, 1 << 31, (1 << 31) - 1, (1 << 32) - 1, 1 << 32, 1 << 62, 1 << 63, (1 << 63) - 1),
                *(len(content), len(content) + 1, len(content) - 1, image.size_in_memory, image.size_in_memory - 1),
                *(before + 1, before - 1, before + 8, before ^ 1 << chance.randrange(8 * it.size), -before),
                chance.getrandbits(64),
                chance.randrange(len(content)),
            )
        )
        content[it.at : it.at + it.size] = (value % (1 << 8 * it.size)).to_bytes(it.size, "little")


def _field(image: Image, chance: Random) -> Field:
    """A number of a header or a table, each kind of which is as likely as any other."""
    header = np.frombuffer(image.content, tables.HEADER, 1)[0]
    choices: list[tuple[np.dtype[np.void], int, int]] = [
        (tables.HEADER, 0, 1),
        (tables.SEGMENT, image.segments_offset, len(image.segments)),
        (tables.SECTION, int(header["sections"]), len(image.sections)),
    ]
    words: list[range] = []
    for section in image.sections:
        if section.name in _TABLES and section.size:
            kind = _TABLES[section.name]
            choices.append((kind, section.offset, section.size // kind.itemsize))
        elif section.name.startswith((*_NUMBERS, *_NOTES_AND_DEBUG)) and section.size > 8:
            words.append(range(section.offset, section.offset + section.size - 8))
    if words and chance.random() < len(words) / (len(words) + len(choices)):
        size = chance.choice((1, 2, 4, 4, 8))
        part = chance.choice(words)
        return Field(chance.choice(part) // min(4, size) * min(4, size), size)
    kind, offset, count = chance.choice(choices)
    name = chance.choice(kind.names or ())
    assert kind.fields
    part_kind, place = kind.fields[name][:2]
    return Field(offset + chance.randrange(count) * kind.itemsize + place, min(8, part_kind.itemsize))


def _flip_bits(image: Image, content: bytearray, chance: Random) -> None:
    places = [it for it in image.sections if it.has_bytes and it.size]
    for _number in range(chance.choice((1, 2, 8, 64))):
        section = chance.choice(places)
        at = chance.choice((section.offset + chance.randrange(section.size), chance.randrange(len(content))))
        content[at] ^= 1 << chance.randrange(8)


def _copy_part(_image: Image, content: bytearray, chance: Random) -> None:
    size = chance.choice((8, 24, 64, 512))
    source, target = (chance.randrange(max(1, len(content) - size)) for _side in range(2))
    content[target : target + size] = content[source : source + size]


def _cut(_image: Image, content: bytearray, chance: Random) -> None:
    del content[chance.randrange(len(content)) :]
