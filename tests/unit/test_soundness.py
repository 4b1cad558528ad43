"""What a file says about itself is bounded by its size: counts, sizes and addresses that cannot be."""

import subprocess
from pathlib import Path

import pytest

from liveso.elf import Image, read_image, tables, version_needs
from liveso.errors import ImageError
from liveso.store.prepare import prepare
from liveso.verdict import judge
from tests.unit.images import Edit, Editor, compile_library

HUGE = (1 << 32) - 1
FAR = 1 << 63


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compile_library(tmp_path_factory.mktemp("whole"), "-Wl,-z,pack-relative-relocs")


def edited(whole: bytes, edit: Edit) -> bytes:
    editor = Editor(bytearray(whole))
    edit(editor, read_image(whole))
    assert editor.content != whole
    return bytes(editor.content)


@pytest.mark.parametrize(
    "edit",
    [
        lambda e, i: e.section(i, ".gnu.version_d", info=HUGE),
        lambda e, i: e.section(i, ".gnu.version_r", info=HUGE),
        lambda e, i: e.dynamic(i, tables.DT_VERDEFNUM, 1 << 62),
        lambda e, i: e.dynamic(i, tables.DT_VERNEEDNUM, 1 << 62),
    ],
    ids=["defined-sections", "needed-sections", "defined-tag", "needed-tag"],
)
def test_a_count_of_versions_that_is_too_large_ends_with_the_versions_there_are(whole: bytes, edit: Edit) -> None:
    found = read_image(edited(whole, edit))
    assert [it.version for it in found.symbols] == [it.version for it in read_image(whole).symbols]
    assert prepare(found, frozenset({0})) != found.content and list(version_needs(found))


@pytest.mark.parametrize(
    ("edit", "fact"),
    [
        (lambda e, i: e.in_section(i, ".gnu.version_d", 16, 1), "overlap"),
        (lambda e, i: e.in_section(i, ".gnu.version_d", 16, HUGE), "the file ends before"),
        (lambda e, i: e.in_section(i, ".gnu.version_r", 12, 1), "overlap"),
        (lambda e, i: e.in_section(i, ".gnu.version_r", 8, HUGE), "the file ends before"),
        (lambda e, i: e.header(section_count=0), "no section headers"),
        (lambda e, i: e.header(section_count=0xFFFF), "the file ends before its section headers"),
        (lambda e, i: e.header(segment_count=0xFFFF), "the file ends before its program headers"),
        (lambda e, i: e.dynamic(i, tables.DT_RELRSZ, 1 << 62), "the file ends before"),
        (lambda e, i: e.dynamic(i, tables.DT_RELASZ, FAR), "the file ends before"),
        (lambda e, i: e.dynamic(i, tables.DT_STRSZ, 1 << 63), "the file ends before"),
        (lambda e, i: e.section(i, ".dynsym", size=1 << 40), "the file ends before"),
        (lambda e, i: e.in_section(i, ".relr.dyn", 0, 1, 8), "do not begin with an address"),
    ],
)
def test_a_count_that_leads_out_of_the_file_is_said(whole: bytes, edit: Edit, fact: str) -> None:
    with pytest.raises(ImageError, match=fact):
        read_image(edited(whole, edit))


@pytest.mark.parametrize(
    ("edit", "fact"),
    [
        (lambda e, i: e.segment(tables.PT_LOAD, memory_size=1 << 60), "bytes of memory"),
        (lambda e, i: e.segment(tables.PT_LOAD, memory_size=FAR), "bytes of memory"),
        (lambda e, i: e.segment(tables.PT_LOAD, address=-4096), "bytes of memory|elsewhere in its page"),
        (lambda e, i: e.segment(tables.PT_LOAD, align=FAR), "alignment"),
        (lambda e, i: e.segment(tables.PT_LOAD, align=3), "alignment"),
        (lambda e, i: e.segment(tables.PT_LOAD, memory_size=0), "more bytes in the file than in memory"),
        (lambda e, i: e.segment(tables.PT_LOAD, address=0, offset=0), "overlap"),
        (lambda e, i: e.segment(tables.PT_TLS, memory_size=1 << 60), "thread-local storage"),
        (lambda e, i: e.segment(tables.PT_GNU_RELRO, address=-8), "leads out of its memory"),
        (lambda e, i: e.segment(tables.PT_GNU_RELRO, memory_size=FAR), "outside of its memory"),
        (lambda e, i: e.segment(tables.PT_GNU_EH_FRAME, address=-8), "does not lie where"),
        (lambda e, i: e.section(i, ".bss", size=1 << 60), "lies outside of its memory"),
        (lambda e, i: e.section(i, ".data", address=-16), "lies outside of its memory"),
        (lambda e, i: e.section(i, ".text", address=0x10), "overlaps|does not lie where"),
        (lambda e, i: e.dynamic(i, tables.DT_INIT_ARRAY, -8), "the file ends before its table of initialisers"),
        (lambda e, i: e.dynamic(i, tables.DT_FINI_ARRAYSZ, FAR), "the file ends before its table of finalisers"),
        (lambda e, i: e.dynamic(i, tables.DT_SYMTAB, 0x40), "another dynamic symbol table"),
        (lambda e, i: e.in_section(i, ".dynsym", 24 * _defined(i) + 8, -1, 8), "symbol .* lies outside"),
        (lambda e, i: e.in_section(i, ".dynsym", 24 * _defined(i) + 16, -1, 8), "symbol .* lies outside"),
        (lambda e, i: e.in_section(i, ".rela.dyn", 0, -8, 8), "a relocation is about"),
        (lambda e, i: e.in_section(i, ".rela.dyn", 16, FAR, 8), "further away than"),
        (lambda e, i: e.in_section(i, ".rela.dyn", 12, HUGE), "refers to a symbol that is not there"),
    ],
)
def test_an_address_or_a_size_that_cannot_be_is_said(whole: bytes, edit: Edit, fact: str) -> None:
    with pytest.raises(ImageError, match=fact):
        read_image(edited(whole, edit))


def _defined(image: Image) -> int:
    return next(it.index for it in image.symbols if it.name == "level")


@pytest.mark.parametrize(
    "edit",
    [
        lambda e, i: e.in_section(i, ".eh_frame_hdr", 8, HUGE),
        lambda e, i: e.in_section(i, ".eh_frame_hdr", 12, 1 << 31),
        lambda e, i: e.in_section(i, ".eh_frame_hdr", 16, 1 << 31),
        lambda e, i: e.in_section(i, ".eh_frame", 24 + 12, HUGE),
    ],
    ids=["count", "start", "description", "range"],
)
def test_an_unwind_table_that_leads_away_is_refused_as_such(whole: bytes, edit: Edit) -> None:
    images = read_image(whole), read_image(edited(whole, edit))
    for pair in (images, images[::-1]):
        assert any("unwind" in it.text for it in judge(*pair).refusals(None))


def test_zeros_that_a_file_only_promises_take_no_memory(tmp_path: Path) -> None:
    """As variables, and as those of each thread: 1.5 GiB that nothing is ever allocated for."""
    text = "static char many[%d << 20]; %s char more[%d << 20]; int one(int x) { return many[x]++ + more[x]++; }"
    for parts in ((1500, "static", 1), (1, "static __thread", 1500), (700, "static __thread", 700)):
        image = read_image(compile_library(tmp_path, text=text % parts))
        assert image.size_in_memory + image.block_size > 1 << 30
        assert not judge(image, image).refusals(None)


@pytest.mark.parametrize("place", [-8, 1 << 40, -(1 << 46)], ids=["before", "far", "far-before"])
@pytest.mark.parametrize("model", ["global-dynamic", "initial-exec"])
def test_a_thread_local_place_outside_of_the_block_is_refused(tmp_path: Path, place: int, model: str) -> None:
    text = f'__thread int seen __attribute__((tls_model("{model}"))) = 3; int one(void) {{ return seen++; }}'
    whole = compile_library(tmp_path, "-ftls-model=global-dynamic", text=text)
    kinds = {read_image(whole).machine.tls_static_offset, read_image(whole).machine.tls_module}
    editor, image = Editor(bytearray(whole)), read_image(whole)
    rows = [at for at, kind in enumerate(image.relocations["type"].tolist()) if kind in kinds]
    assert rows
    for row in rows:
        offset = image.relocations_offset[row]
        editor.set_row(tables.RELOCATION, offset, symbol=0, addend=place)
        slot = image.file_offset(int(image.relocations["offset"][row]) + 8) if model == "global-dynamic" else None
        if slot is not None:
            editor.content[slot : slot + 8] = (place % (1 << 64)).to_bytes(8, "little")
    images = image, editor.image
    for pair in (images, images[::-1]):
        assert any("out of its thread-local storage" in it.text for it in judge(*pair).refusals(None))


@pytest.mark.parametrize("entry", [-8, -(1 << 40), 1 << 46])
def test_a_finaliser_outside_of_the_image_is_judged(tmp_path: Path, entry: int) -> None:
    """Its address is looked at to find the linker's own code."""
    editor = Editor(bytearray(compile_library(tmp_path)))
    image = editor.image
    first = image.tag(tables.DT_FINI_ARRAY)
    (row,) = (at for at, offset in enumerate(image.relocations["offset"].tolist()) if offset == first)
    editor.set_row(tables.RELOCATION, image.relocations_offset[row], addend=entry)
    for pair in ((image, editor.image), (editor.image, image)):
        assert not [it for it in judge(*pair).findings if it.rule == "judging-failed"]


def test_a_table_of_relocations_that_has_another_one_is_read_once(tmp_path: Path) -> None:
    """GNU ld for RISC-V lets the size of the first (DT_RELASZ) include the one for the procedure linkage table."""
    source, path = tmp_path / "it.c", tmp_path / "it.so"
    source.write_text("int f(int); static int one, *kept = &one; int g(int n) { return f(n) + f(*kept); }\n")
    options = ["-shared", "-fPIC", "-O0", "-nostdlib", "-Wl,-z,lazy", str(source), "-o", str(path)]
    subprocess.run(["riscv64-linux-gnu-gcc", *options], check=True)
    image = read_image(path.read_bytes())
    assert sorted(image.relocations["type"].tolist()) == sorted((image.machine.relative, image.machine.jump_slot))
    assert len(image.relocations_offset) == 2
