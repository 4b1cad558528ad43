"""Functions from the unwind table, held against pyelftools' reading of the same table."""

from dataclasses import replace
from pathlib import Path

import pytest
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile

from liveso.code import functions
from liveso.code.shapes import shapes
from liveso.elf import read_image

pytestmark = pytest.mark.own_machine
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")


@pytest.mark.parametrize("name", ["libz.so.1", "libcrypto.so.3", "libstdc++.so.6", "libgcc_s.so.1", "libm.so.6"])
def test_every_function_that_has_an_entry_is_found(name: str) -> None:
    path = LIBRARIES / name
    if not path.exists():
        path = Path("/lib/x86_64-linux-gnu") / name
    with path.open("rb") as file:
        entries = ELFFile(file).get_dwarf_info().EH_CFI_entries()
        expected = {
            (it["initial_location"], it["initial_location"] + it["address_range"])
            for it in entries
            if isinstance(it, FDE)
        }
    assert expected
    assert {tuple(row) for row in functions(read_image(path.read_bytes())).tolist()} == expected


def test_a_function_in_two_sections_that_overlap_is_counted_once() -> None:
    image = read_image((LIBRARIES / "libgcc_s.so.1").resolve().read_bytes())
    code = [it for it in image.sections if it.is_code and it.name == ".text"]
    damaged = shapes(replace(image, sections=(*image.sections, *code)))
    assert code and len(damaged.functions) == len(damaged.shapes) == len(shapes(image).shapes)
