"""Where the constants of an image begin, as far as anything says so."""

from dataclasses import dataclass

import numpy as np

from liveso.code.mask import displacements
from liveso.code.start_up import is_start_up
from liveso.elf import Image, Section, once_per_image
from liveso.elf.data import constant_sections
from liveso.elf.tables import Table

FORMING = 7  # bytes of an instruction that forms an address
_DISPLACEMENT = 3  # where its displacement begins


@dataclass(frozen=True, slots=True)
class Formed:
    """What look like instructions of the code that form addresses, by their own `places` and the `targets`: each is
    to be decoded before it is changed."""

    places: Table
    targets: Table


@once_per_image
def formed_constants(image: Image) -> Formed:
    """Those that form the address of a constant, or the one behind the last constant of a section."""
    spans = [range(it.address, it.end + 1) for it in constant_sections(image)]
    places, targets = [np.zeros(0, "<i8")], [np.zeros(0, "<i8")]
    for section in image.sections:
        if section.is_code and section.has_bytes and not is_start_up(section):
            at, to = _formed(image, section)
            inside = np.zeros(len(at), np.bool_)
            for span in spans:
                inside |= (to >= span.start) & (to < span.stop)
            places.append(at[inside])
            targets.append(to[inside])
    return Formed(np.concatenate(places), np.concatenate(targets))


def _formed(image: Image, section: Section) -> tuple[Table, Table]:
    machine, code = image.machine, image.section_bytes(section)
    content, numbers = np.frombuffer(code, np.uint8), displacements(code)
    if len(content) < FORMING:
        return np.zeros(0, "<i8"), np.zeros(0, "<i8")
    whole, wide = machine.whole_word
    relative, direct = machine.relative_operand
    at = np.flatnonzero(
        (content[:-6] & whole == wide)
        & (content[1:-5] == machine.address_opcode)
        & (content[2:-4] & relative == direct)
    )
    return at + section.address, numbers[at + _DISPLACEMENT].astype("<i8") + at + section.address + FORMING


@once_per_image
def constant_starts(image: Image) -> Table:
    """The addresses in constants that code may form, that words hold, or that symbols name: sorted, each once."""
    relocations = image.relocations
    pointed = relocations["addend"][relocations["type"] == image.machine.relative]
    named = np.array([it.value for it in image.symbols if it.is_defined], "<i8")
    found = np.unique(np.concatenate([formed_constants(image).targets, pointed.astype("<i8"), named]))
    inside = np.zeros(len(found), np.bool_)
    for section in constant_sections(image):
        inside |= (found >= section.address) & (found < section.end)
    starts: Table = found[inside]
    return starts
