"""What an update would write into AArch64 code that reaches variables by way of an address. Nothing is run."""

from pathlib import Path

import pytest

from liveso.elf import Image, read_image
from liveso.plan.rehearsal import Rehearsal, rehearse
from liveso.store import Version
from liveso.verdict import DebugSource, KeptVerdicts, Policy, analyse_pair
from tests.corpus.assembled import assembled_for_aarch64

BOUND = "-Wl,-Bsymbolic"
NOWHERE = KeptVerdicts(Path("/proc/self/verdicts"))
DATA = """
	.data
	.p2align 12
	.globl before, one
	.type before, %object
	.size before, 64
before:	.skip 64
{between}
	.type one, %object
	.size one, 4200
one:	.skip 4200
"""
MORE = ".globl more\n .type more, %object\n .size more, 64\nmore: .skip 64\n"
REACHING = {
    "an access that moves on first": "ldr x19, [x22, #32]!",
    "a store that does": "str xzr, [x22, #152]!",
    "a shifted sum": "add x22, x22, #1, lsl #12",
    "an access": "ldr x19, [x22, #32]",
}


def _image(folder: Path, code: str, between: str) -> Image:
    before = "adrp x0, before\n ldr x0, [x0, :lo12:before]\n adrp x22, one\n add x22, x22, :lo12:one\n"
    path = assembled_for_aarch64(folder, f"{before}{code}\n add x0, x0, x22", DATA.format(between=between), "-s", BOUND)
    return read_image(path.read_bytes())


def _plan(old: Image, new: Image) -> Rehearsal:
    analysis = analyse_pair(old, new, NOWHERE, Policy.STRICT, DebugSource(folders=()))
    assert not analysis.verdict.refusals(None)
    return rehearse(old, new, (Version.of(old.content), Version.of(new.content)), analysis)


@pytest.mark.parametrize("name", REACHING)
def test_an_instruction_whose_variable_moved_as_a_whole_keeps_its_number(tmp_path: Path, name: str) -> None:
    old, new = (_image(tmp_path, REACHING[name], between) for between in ("", MORE))
    found = _plan(old, new)
    places = {it.name: it.value for it in new.symbols if it.is_defined}
    reaching = places["f"] + 16
    changed = set((found.relinking.halves["address"].astype("<i8") - found.new.base).tolist())
    assert reaching not in changed
    assert {reaching - 8, reaching - 4} & changed
