"""References of AArch64 code whose parts lie apart, or cannot be brought together: each shape of code by itself."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from liveso.code import References, data_references, has_own_code, with_references_to
from liveso.elf import read_image
from liveso.errors import ImageError
from liveso.verdict import Weight, judge

TARGET = "aarch64-linux-gnu"

FRAME = """
	.text
	.globl f
	.type f, %function
f:	.cfi_startproc
{code}
	.cfi_endproc
	.size f, .-f
	.data
	.p2align 12
one:	.quad 1, 2
	.skip 8192
two:	.quad 3
"""
ENDING = (
    "p1: adrp x19, one\n cbnz x0, 2f\n mov x19, x1\n bl {name}\n2:\nu1: ldr x0, [x19, :lo12:one]\n ret\n"
    " .cfi_endproc\n.globl ends\n.type ends, %function\nends: .cfi_startproc\n {code}\n .cfi_endproc\n"
    ".globl leads\n.type leads, %function\nleads: .cfi_startproc\n cbz x0, 3f\n b ends\n3: brk #1"
)
FOLLOWED = {
    "several additions to one page": (
        "p1: adrp x8, one\n add x0, x8, :lo12:one\nu1: ldr x1, [x8, :lo12:one+8]\n str x1, [x8, :lo12:one]\n ret",
        {"u1": {"p1"}},
    ),
    "two pages that are the same": (
        "cbz x0, 1f\np1: adrp x8, one\n b 2f\n1:\np2: adrp x8, one\n2:\nu1: ldr x0, [x8, :lo12:one]\n ret",
        {"u1": {"p1", "p2"}},
    ),
    "a page that is kept in the frame": (
        "sub sp, sp, #48\np1: adrp x8, one\n str x8, [sp, #16]\n bl g\n ldr x9, [sp, #16]\n"
        "u1: ldr x0, [x9, :lo12:one]\n add sp, sp, #48\n ret",
        {"u1": {"p1"}},
    ),
    "a page that is kept in a frame which a store opens": (
        "stp x29, x30, [sp, #-48]!\np1: adrp x8, one\n str x8, [sp, #16]\n bl g\n ldr x9, [sp, #16]\n"
        "u1: ldr x0, [x9, :lo12:one]\n ldp x29, x30, [sp], #48\n ret",
        {"u1": {"p1"}},
    ),
    "a page that is kept in one word of the frame on two ways": (
        "stp x29, x30, [sp, #-48]!\n cbz x0, 1f\np1: adrp x8, one\n str x8, [sp, #16]\n bl g\n b 2f\n"
        "1:\np2: adrp x9, one\n str x9, [sp, #16]\n bl g\n2: ldr x9, [sp, #16]\nu1: ldr x0, [x9, :lo12:one]\n"
        " ldp x29, x30, [sp], #48\n ret",
        {"u1": {"p1", "p2"}},
    ),
    "a pair of registers that are kept in the frame": (
        "stp x29, x30, [sp, #-48]!\n mov x29, sp\np1: adrp x8, one\np2: adrp x9, two\n stp x8, x9, [x29, #16]\n bl g\n"
        " ldp x10, x11, [x29, #16]\nu1: ldr x0, [x10, :lo12:one]\nu2: ldr x1, [x11, :lo12:two]\n"
        " ldp x29, x30, [sp], #48\n ret",
        {"u1": {"p1"}, "u2": {"p2"}},
    ),
    "a page that is kept in the frame, which the first store makes": (
        "stp x29, x30, [sp, #-48]!\np1: adrp x8, one\n str x8, [sp, #24]\n bl g\n ldr x9, [sp, #24]\n"
        "u1: ldr x0, [x9, :lo12:one]\n ldp x29, x30, [sp], #48\n ret",
        {"u1": {"p1"}},
    ),
    "a copy of the register": ("p1: adrp x8, one\n mov x9, x8\nu1: ldr x0, [x9, :lo12:one]\n ret", {"u1": {"p1"}}),
    "a call of a function that leaves the register alone": (
        "stp x29, x30, [sp, #-16]!\np1: adrp x8, one\n bl h\nu1: ldr x0, [x8, :lo12:one]\n"
        " ldp x29, x30, [sp], #16\n ret\n .cfi_endproc\n.type h, %function\nh: .cfi_startproc\n mov x0, #1\n ret",
        {"u1": {"p1"}},
    ),
    "a call for a TLS descriptor": (
        "stp x29, x30, [sp, #-16]!\np1: adrp x1, one\n adrp x0, :tlsdesc:local\n ldr x2, [x0, #:tlsdesc_lo12:local]\n"
        " add x0, x0, :tlsdesc_lo12:local\n .tlsdesccall local\n blr x2\nu1: ldr x0, [x1, :lo12:one]\n"
        ' ldp x29, x30, [sp], #16\n ret\n .section .tbss, "awT", %nobits\nlocal: .skip 8\n .text',
        {"u1": {"p1"}},
    ),
    "a case of a switch": (
        "p1: adrp x8, one\n adr x9, 1f\n add x9, x9, x0, lsl #3\n br x9\n1:\nu1: ldr x0, [x8, :lo12:one]\n ret\n"
        "u2: ldr x0, [x8, :lo12:one+8]\n ret",
        {"u1": {"p1"}, "u2": {"p1"}},
    ),
    "a part of the function that lies elsewhere": (
        "p1: adrp x8, one\n cbz x0, f.cold\nu1: ldr x0, [x8, :lo12:one]\n ret\n .cfi_endproc\n.type f.cold, %function\n"
        "f.cold: .cfi_startproc\nu2: str xzr, [x8, :lo12:one]\n ret",
        {"u1": {"p1"}, "u2": {"p1"}},
    ),
    "an ADR that a linker left in the place of an ADRP": (
        ".p2align 12\n.skip 4096 - 8\np1: adr x8, page\nu1: ldr x0, [x8, :lo12:page+8]\n ret",
        {"u1": {"p1"}},
    ),
    "a way that ends in an exported function of the library": (
        ENDING.format(name="ends", code="brk #1"),
        {"u1": {"p1"}},
    ),
    "a way that ends in one that leads to such a function": (
        ENDING.format(name="leads", code="bl abort"),
        {"u1": {"p1"}},
    ),
    "a way that ends in a function of GLib's": (
        ENDING.format(name="g_assertion_message_expr", code="ret"),
        {"u1": {"p1"}},
    ),
    "a way that is never taken, on which the register holds something else": (
        "mov x8, #5\n cbz x0, 1f\n ret\n1: cbnz x0, 2f\np1: adrp x8, one\n b 3f\n2: bl g\n"
        "3:\nu1: ldr x0, [x8, :lo12:one]\n ret",
        {"u1": {"p1"}},
    ),
}
UNCLEAR = {
    "an addition of a register": ("p1: adrp x8, one\n add x0, x8, x1\n ret", {"p1"}),
    "no use": ("p1: adrp x8, one\n ret", {"p1"}),
    "two pages that differ": (
        "cbz x0, 1f\np1: adrp x8, one\n b 2f\n1:\np2: adrp x8, two\n2: ldr x0, [x8, #8]\n ret",
        {"p1", "p2"},
    ),
    "another value on one way": (
        "cbz x0, 1f\np1: adrp x8, one\n b 2f\n1: mov x8, x1\n2: ldr x0, [x8, #8]\n ret",
        {"p1"},
    ),
    "a word of the frame that holds another value on one way": (
        "sub sp, sp, #48\np1: adrp x8, one\n str x8, [sp, #16]\n cbz x0, 1f\n bl g\n str x0, [sp, #16]\n"
        "1: ldr x9, [sp, #16]\n ldr x0, [x9, #8]\n add sp, sp, #48\n ret",
        {"p1"},
    ),
    "another value on a way through a call that returns": (ENDING.format(name="ends", code="ret"), {"p1"}),
    "another value on a way through a call that leads to one": (ENDING.format(name="leads", code="ret"), {"p1"}),
    "a shifted addition": ("p1: adrp x8, one\n add x8, x8, #1, lsl #12\n ldr x0, [x8]\n ret", {"p1"}),
}

Assembled = Callable[[str], tuple[bytes, dict[str, int]]]


@pytest.fixture
def assemble(tmp_path: Path) -> Assembled:
    def assemble(code: str) -> tuple[bytes, dict[str, int]]:
        """A library with the code of a function, and the addresses of the labels in it."""
        source, path = tmp_path / "code.s", tmp_path / "library.so"
        text = FRAME.format(code=code).replace("one:", "one: page:" if " page" in code else "one:")
        labels = re.findall(r"^([pu]\d):", text, re.MULTILINE)
        source.write_text(text + "".join(f"\t.globl {it}\n\t.hidden {it}\n" for it in labels))
        command = [f"{TARGET}-gcc", "-shared", "-nostdlib", "-Wl,-z,now", "-Wl,--no-undefined-version", str(source)]
        subprocess.run([*command, "-o", str(path)], check=True, capture_output=True)
        listing = subprocess.run([f"{TARGET}-nm", str(path)], check=True, capture_output=True, text=True).stdout
        places = {name: int(address, 16) for address, kind, name in re.findall(r"(\w+) (\w) (\w+)", listing) if kind}
        subprocess.run([f"{TARGET}-strip", "--strip-all", str(path)], check=True)
        return path.read_bytes(), places

    return assemble


@pytest.mark.parametrize("name", FOLLOWED)
def test_parts_that_lie_apart_are_brought_together(assemble: Assembled, name: str) -> None:
    code, pairs = FOLLOWED[name]
    content, places = assemble(code)
    found = data_references(read_image(content))
    assert not found.unclear and not found.undecoded
    assert set(found.table["place"].tolist()) >= {places[it] for it in pairs}
    for use, pages in pairs.items():
        assert _pages(found, places[use]) == {places[it] for it in pages}


@pytest.mark.parametrize(
    "store", ["str x1, [sp, #16]", "stp x1, x2, [sp, #8]", "str w1, [sp, #20]", "str q0, [sp, #16]"]
)
def test_what_is_stored_over_a_page_in_the_frame_is_no_page(assemble: Assembled, store: str) -> None:
    content, places = assemble(
        "sub sp, sp, #48\np1: adrp x8, one\n str x8, [sp, #16]\n bl g\n ldr x9, [sp, #16]\n"
        f"u1: ldr x1, [x9, :lo12:one]\n {store}\n bl g\n ldr x9, [sp, #16]\nu2: ldr x0, [x9, #8]\n"
        " add sp, sp, #48\n ret"
    )
    found = data_references(read_image(content))
    assert not found.unclear and not found.undecoded
    assert set(found.table["place"].tolist()) == {places["u1"]}


@pytest.mark.parametrize("name", UNCLEAR)
def test_a_page_that_cannot_be_followed_is_refused_by_its_place(assemble: Assembled, name: str) -> None:
    code, pages = UNCLEAR[name]
    content, places = assemble(code)
    image = read_image(content)
    found = data_references(image)
    assert set(found.unclear) == {places[it] for it in pages}
    texts = [it.text for it in judge(image, image).findings if it.weight is Weight.IMPOSSIBLE]
    assert any(f"{found.unclear[0]:#x}" in it for it in texts)


@pytest.mark.parametrize("name", UNCLEAR)
def test_a_page_that_may_be_a_constants_is_said_to_be_what_cannot_be_followed(assemble: Assembled, name: str) -> None:
    code, pages = UNCLEAR[name]
    content, places = assemble(code)
    image = read_image(content)
    with pytest.raises(ImageError, match="cannot be followed") as caught:
        with_references_to(image, data_references(image), frozenset({places["one"], places["one"] + 8}))
    assert any(f"{places[it]:#x}" in str(caught.value) for it in pages)


def test_code_that_cannot_be_decoded_is_refused_by_the_page_that_comes_to_it(assemble: Assembled) -> None:
    content, places = assemble("p1: adrp x8, one\n .inst 0x06000000\n ldr x0, [x8, :lo12:one]\n ret")
    image = read_image(content)
    assert data_references(image).undecoded == (places["p1"],)
    assert "undecoded-code" in {it.rule for it in judge(image, image).findings if it.weight is Weight.IMPOSSIBLE}


def test_data_between_functions_is_no_reference(assemble: Assembled) -> None:
    page = 0x90000008  # adrp x8, of this page
    data = f"ret\n .cfi_endproc\n .inst {page:#x}, 0x06000000\nh: .cfi_startproc\n ret"
    content, _places = assemble(data)
    found = data_references(read_image(content))
    assert not len(found.table) and not found.undecoded and not found.unclear


def _pages(found: References, place: int) -> set[int]:
    """The instructions that leave the page for a reference."""
    return set(found.pages["page"][found.pages["place"] == place].tolist())


CLEAN = """
int counter;
int bump(void) { return counter++; }
"""


def test_start_up_functions_are_not_the_librarys_own(tmp_path: Path) -> None:
    """Compilers describe theirs in the unwind table of this machine."""
    for text, is_own in ((CLEAN, True), ("int nothing;", False)):
        path = tmp_path / "library.so"
        command = [f"{TARGET}-gcc", "-O2", "-shared", "-fPIC", "-s", "-x", "c", "-", "-o", str(path)]
        subprocess.run(command, input=text, text=True, check=True)
        image = read_image(path.read_bytes())
        assert has_own_code(image) is is_own
        assert len(data_references(image).table) == 0


@pytest.mark.parametrize("is_called", [False, True])
def test_a_number_between_functions_is_an_instruction_only_if_something_leads_to_it(
    assemble: Assembled, is_called: bool
) -> None:
    """Any number of a table in hand-written assembly may look like one instruction that forms an address."""
    lead = "bl 9f\n" if is_called else ""
    content, places = assemble(
        f"{lead} ret\n .cfi_endproc\n .inst 0x428a2f98\n9:\nu1: adr x8, one\n ret\nh: .cfi_startproc\n ret"
    )
    found = data_references(read_image(content))
    assert set(found.table["place"].tolist()) == ({places["u1"]} if is_called else set())
    assert found.doubtful == (not is_called)
