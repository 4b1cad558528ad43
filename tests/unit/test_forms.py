"""x86-64 instructions are known again by their bytes: what they name must not be taken from the one before."""

import pytest

from liveso.code.decode import decode
from liveso.code.x86_64 import forms
from liveso.machine import X86_64

BRANCHES = {
    "call": "e8 11 22 03 00",
    "jmp": "e9 11 22 03 00",
    "short jmp": "eb f0",
    "je": "0f 84 11 22 03 80",
    "short je": "74 70",
    "jmp with a prefix": "f2 e9 11 22 03 00",
    "jrcxz": "e3 10",
}


@pytest.mark.parametrize("code", BRANCHES.values(), ids=BRANCHES)
def test_a_branch_leads_where_capstone_says(code: str) -> None:
    content = bytes.fromhex(code)
    for start in (0x1000, 0x20000, 0x30000000):
        instructions = decode(X86_64, content, start)
        _mnemonic, operands = instructions.text(0)
        ((address, form, target),) = forms(content, instructions, frozenset())
        assert (address, form.leads_to_code, target) == (start, True, int(operands, 0))


def test_memory_relative_to_an_instruction_moves_with_it() -> None:
    content = bytes.fromhex("48 8b 05 10 00 00 00")  # mov rax, qword ptr [rip + 0x10]
    targets = [forms(content, decode(X86_64, content, start), frozenset())[0][2] for start in (0x1000, 0x5000)]
    assert targets == [0x1017, 0x5017]


def test_a_loop_is_read_anew_wherever_it_lies() -> None:
    content = bytes.fromhex("e2 10")
    found = [forms(content, decode(X86_64, content, start), frozenset())[0][1] for start in (0x1000, 0x5000)]
    assert [it.immediate for it in found] == [0x1012, 0x5012]


def test_padding_is_left_out_each_time() -> None:
    content = bytes.fromhex("f3 0f 1e fa 90 c3 90")  # endbr64, nop, ret, nop
    for start in (0x1000, 0x5000):
        assert [it[0] for it in forms(content, decode(X86_64, content, start), frozenset())] == [start + 5]
