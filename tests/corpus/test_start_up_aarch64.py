"""The start-up functions that compilers link into each library (crtbeginS.o), which have unwind entries on AArch64:
what another compiler's do is no edit. Nothing is run."""

from pathlib import Path

import pytest

from liveso.elf import Image, read_image
from liveso.verdict import judge
from tests.corpus.assembled import assembled_for_aarch64

FUNCTION = "\t.type {0}, %function\n{0}:\t.cfi_startproc\n{1}\n\t.cfi_endproc\n\t.size {0}, .-{0}\n"
ARRAYS = '\t.section .{0}_array, "aw", %{0}_array\n\t.quad {1}\n'
OLDER = "sub x1, x1, x0\n asr x1, x1, #3\n cbz x1, 1f\n ldr x2, [x0]\n br x2\n1: ret"
NEWER = "lsr x2, x1, #63\n add x1, x2, x1, asr #3\n cbz x1, 1f\n ldr x2, [x0, #8]\n mov x16, x2\n br x16\n1: ret"
IN_ORDER = ("deregisters", "registers", "at_end", "at_start")
IN_ANOTHER = ("deregisters", "at_end", "at_start", "registers")


def _image(folder: Path, registers: str, order: tuple[str, ...]) -> Image:
    codes = {
        "deregisters": "cbz x0, 1f\n br x0\n1: ret",
        "registers": registers,
        "at_end": "stp x29, x30, [sp, #-16]!\n bl deregisters\n ldp x29, x30, [sp], #16\n ret",
        "at_start": "b registers",
    }
    rest = "\t.text\n" + "".join(FUNCTION.format(name, codes[name]) for name in order)
    rest += ARRAYS.format("init", "at_start") + ARRAYS.format("fini", "at_end")
    return read_image(assembled_for_aarch64(folder, "add x0, x0, x1", rest, "-s").read_bytes())


@pytest.mark.parametrize(("order", "is_refused"), [(IN_ORDER, False), (IN_ANOTHER, True)])
def test_the_start_up_functions_of_another_compiler_are_no_new_initialisers(
    tmp_path: Path, order: tuple[str, ...], is_refused: bool
) -> None:
    old, new = (_image(tmp_path, it, order) for it in (OLDER, NEWER))
    assert ("initialiser" in {it.rule for it in judge(old, new).refusals(None)}) is is_refused
