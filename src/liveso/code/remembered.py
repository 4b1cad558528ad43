"""Functions whose address a process may remember."""

import numpy as np

from liveso.code.references import References
from liveso.elf import Image, tables
from liveso.elf.sets import distinct
from liveso.elf.tables import Table


def remembered_functions(image: Image, references: References) -> Table:
    """The addresses, sorted, of the functions that are exported, so that a program can ask for them (dlsym(3)), that a
    relocated word leads to, or whose address the image's own code forms: `references` are the image's.

    The lists of constructors and destructors do not count: the dynamic linker runs those of the version that it loaded
    by itself, which belong together."""
    exported = [it.value for it in image.symbols if it.is_defined and it.type == tables.STT_FUNC]
    return distinct(
        np.concatenate([np.array(exported, "<i8"), _in_words(image), references.functions["target"].astype("<i8")])
    )


def _in_words(image: Image) -> Table:
    table = image.relocations[image.relocations["type"] == image.machine.relative]
    for it in image.sections:
        if it.type in (tables.SHT_INIT_ARRAY, tables.SHT_FINI_ARRAY):
            table = table[(table["offset"] < it.address) | (table["offset"] >= it.end)]
    addends = distinct(table["addend"])
    found: Table = addends[image.are_code(addends)]
    return found
