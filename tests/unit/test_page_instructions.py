"""Instructions of two versions, side by side."""

from liveso.page.instructions import Instruction, Place, Row, place, side_by_side


def code(*texts: str, start: int = 0x1000) -> list[Instruction]:
    return [Instruction(start + 4 * number, text) for number, text in enumerate(texts)]


def shown(rows: list[Row]) -> list[str]:
    return [f"{'=' if it.is_same else '!'} {it.old and it.old.text} | {it.new and it.new.text}" for it in rows]


def test_a_finding_names_places_by_address_or_functions_by_name() -> None:
    assert place("conn_new: 0x1133, now 0x1140") == Place("conn_new", 0x1133, 0x1140)
    assert place("the function at 0x10: 0x11, now 0x12") == Place("the function at 0x10", 0x11, 0x12)
    assert place("conn_new") == Place("conn_new")


def test_what_differs_stands_beside_each_other() -> None:
    old = code("push rbp", "mov eax, dword ptr [rdi]", "ret")
    new = code("push rbp", "mov eax, dword ptr [rdi + 8]", "inc eax", "ret")
    assert shown(side_by_side(old, new)) == [
        "= push rbp | push rbp",
        "! mov eax, dword ptr [rdi] | mov eax, dword ptr [rdi + 8]",
        "! None | inc eax",
        "= ret | ret",
    ]


def test_code_that_only_lies_elsewhere_is_the_same() -> None:
    old = code("jne 0x1008", "lea rax, [rip + 0x2000]", "call 0x5000", "bl #0x5000")
    new = code("jne 0x2008", "lea rax, [rip + 0x3000]", "call 0x6000", "bl #0x6000", start=0x2000)
    assert all(it.is_same for it in side_by_side(old, new))


def test_a_branch_out_of_the_function_and_a_number_are_no_branch_within() -> None:
    assert not side_by_side(code("jne 0x1000"), code("jne 0x9000"))[0].is_same
    assert not side_by_side(code("push 0x10"), code("push 0x20"))[0].is_same
