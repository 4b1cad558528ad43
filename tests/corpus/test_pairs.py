"""The verdict over pairs of sources, `pairs/*/*.c`, whose new version -DNEW makes: harmful ones of which no symbol and
no section tells anything, and harmless ones that look like them."""

import os
import subprocess
from collections.abc import Container
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from liveso.elf import read_image
from liveso.verdict import Verdict, judge
from tests.corpus.mutations.build import Build, sample
from tests.once import made_once

PAIRS = Path(__file__).parent / "pairs"
HARMFUL, HARMLESS = (sorted((PAIRS / kind).iterdir()) for kind in ("harmful", "harmless"))

ALWAYS = [Build(*options, "now") for options in product(("gcc", "clang"), ("-O2",), ("stripped", "debug"))]
OTHERS = [Build(*options, "now") for options in product(("gcc", "clang"), ("-O0", "-O3"), ("stripped", "debug"))]
AARCH64, RISCV64 = (
    [Build(compiler, "-O2", "stripped", "now", target) for compiler in ("gcc", "clang")]
    for target in ("aarch64-linux-gnu", "riscv64-linux-gnu")
)

FLAGS = {"init_function": ("-Wl,-init,ini",)}

NAMED = {
    "hash_of_another_order": "changed-hash",
    "hash_of_another_factor": "changed-hash",
    "bits_from_the_other_end": "shared-computation",
    "bucket_by_other_bits": "shared-computation",
    "wheel_of_longer_steps": "shared-computation",
}
"""What is named by the rule, and accepted where nothing else refuses it: nobody can tell whether objects keep it."""

NOTHING_TO_RUN = {"constructor_behind_a_pointer", "constructor_in_a_callee"}
"""Clang runs these constructors when it compiles: the variables start with what they would leave."""

NO_TRACE = {
    ("callback_gets_another_argument", "gcc", "-O0", "stripped"),
    ("enumeration_in_a_bit_field", "clang", "-O0", "stripped"),
    ("enumeration_in_a_bit_field", "clang", "-O0", "debug"),
    ("pointers_exchanged", "clang", "-O0", "stripped"),
    ("open_array_and_a_count_behind", "clang", "-O0", "stripped"),
    ("open_array_freed_by_its_size", "clang", "-O0", "stripped"),
    ("open_array_grows", "clang", "-O0", "stripped"),
    ("open_array_grows", "clang", "-O0", "debug"),
    *product(("cursor_goes_backwards",), ("gcc", "clang"), ("-O0",), ("stripped", "debug")),
    *product(("length_before_a_text_grows",), ("gcc",), ("-O0",), ("stripped", "debug")),
    ("length_before_a_text_grows", "clang", "-O0", "debug"),
    *product(("method_takes_less",), ("gcc", "clang"), ("-O0",), ("stripped",)),
    *product(("spin_lock_becomes_a_mutex",), ("gcc", "clang"), ("-O0",), ("stripped",)),
    *product(("bucket_by_other_bits",), ("gcc", "clang"), ("-O0",), ("stripped", "debug")),
    *product(("unsigned_heap_with_the_largest_on_top",), ("gcc",), ("-O0",), ("stripped", "debug")),
}
"""Harmful pairs that are accepted in some builds: at -O0, arguments go through words of the stack and branches, clang
adds constants one after another, members are changed in registers, what takes a lock is a function that only one
version has, a method that takes less is taken for the same one, edited, and a macro that uses its argument twice keeps
it in another register, or compares in other registers."""

KNOWN_COMPILERS = {"gcc": 12, "clang": 14}
"""Debian 12's, by which the pairs are told as everything else here says. Of those of Debian 13 (gcc 14, clang 19):"""
NO_TRACE_OF_LATER = {("pending_in_tail", "clang"), ("tagged_number", "gcc")}
"""Harmful pairs that are accepted, stripped: two members are counted as one vector, and a flag is tested in a byte, as
texts are."""
WRONG_NO_OF_LATER = {("loops_go_backwards", "clang"), ("another_class_is_made", "gcc")}
AARCH64_OF_LATER = {("length_before_a_text_counts_its_end", "clang"), ("open_array_and_a_count_behind", "clang")}
"""Harmful pairs that are refused for AArch64, and accepted as Debian 12's compilers make them."""
AARCH64_MISSES_OF_LATER = {("members_exchanged_by_setters", "gcc"), ("members_exchanged_by_setters", "clang")}
"""The other way round."""
WRONG_NO = {
    ("another_class_is_made", "gcc", "-O2", "stripped"),
    ("another_class_is_made", "gcc", "-O3", "stripped"),
    *product(("helper_is_inlined_for_another_member",), ("gcc", "clang"), ("-O0",), ("stripped",)),
    ("loop_bound", "gcc", "-O3"),
    ("open_array_at_the_end", "clang", "-O0", "debug"),
    ("open_array_cleared_first", "gcc", "-O0", "debug"),
    ("open_array_cleared_first", "clang", "-O0", "debug"),
    ("open_array_of_an_allocator_by_pointer", "clang", "-O0", "debug"),
}
"""Harmless pairs that are refused in some builds: loops that are unrolled have other displacements, and at -O0 sizes go
through words of the stack, or are added one after another, and so do pointers to objects; what ends a constructor by an
exception is a function of its own, which is told two sizes and no class."""

AARCH64_MISSES = {
    "cursor_goes_backwards": {"gcc", "clang"},
    "header_before_a_block_is_exchanged": {"clang"},
    "length_before_a_text_counts_its_end": {"gcc", "clang"},
    "enumeration_in_a_bit_field": {"gcc", "clang"},
    "open_array_and_a_count_behind": {"clang"},
    "pointer_to_the_middle": {"gcc", "clang"},
    "heap_with_the_largest_on_top": {"clang"},
    "unsigned_heap_with_the_largest_on_top": {"clang"},
}
"""Harmful pairs that are accepted for AArch64, whose code is not read as closely yet, by compiler."""

RISCV64_MISSES = {
    "cursor_goes_backwards": {"gcc", "clang"},
    "depth_in_handlers": {"gcc", "clang"},
    "member_in_another_byte_order": {"gcc"},
    "member_of_other_functions": {"gcc", "clang"},
    "members_exchanged": {"gcc"},
    "members_exchanged_by_setters": {"gcc"},
    "open_array_and_a_count_behind": {"clang"},
}
"""The same for RISC-V: a function of the library's own turns the bytes round there, and members are stored as one."""
RISCV64_WRONG_NO = {"lazy_table": {"gcc"}, "setting_of_a_new_function": {"gcc"}, "loops_go_backwards": {"gcc"}}
"""Harmless pairs that are refused for RISC-V: variables are addressed by the first one, which another takes the place
of (AArch64: likewise), and a loop adds the displacement of an array's last element."""


@cache
def is_later(compiler: str) -> bool:
    """Whether a compiler is not that of Debian 12."""
    version = subprocess.check_output([compiler, "-dumpversion"], text=True)
    return int(version.split(".")[0]) > KNOWN_COMPILERS[compiler]


def judged(folder: Path, source: Path, build: Build) -> Verdict:
    old, new = (_compiled(folder, source, build, flags) for flags in ((), ("-DNEW",)))
    return judge(read_image(old.read_bytes()), read_image(new.read_bytes()))


def _compiled(folder: Path, source: Path, build: Build, flags: tuple[str, ...]) -> Path:
    compiler = build.command(source.suffix == ".cc")
    options = [build.level, "-w", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-soname,libpair.so"]
    options += ["-g" if build.symbols == "debug" else "-s", *flags, *FLAGS.get(source.stem, ()), f"-I{PAIRS}"]
    name = "-".join((source.stem, build.compiler, build.level, build.symbols, build.target, *flags)) + ".so"

    def make(output: Path) -> None:
        subprocess.run([*compiler, *options, str(source), "-o", str(output)], check=True)

    return made_once(folder / name, make)


def builds(source: Path) -> list[Build]:
    """Both compilers stripped and one with debug information, or all where LIVESO_CORPUS is "full"."""
    if os.environ.get("LIVESO_CORPUS") == "full":
        return [*ALWAYS, *OTHERS]
    left_out = 2 * ((*HARMFUL, *HARMLESS).index(source) % 2) + 1
    return [build for number, build in enumerate(ALWAYS) if number != left_out]


def by_turns(source: Path, builds: list[Build]) -> list[Build]:
    """One of the builds, another one for the next source, or all where LIVESO_CORPUS is "full"."""
    return sample(builds, (*HARMFUL, *HARMLESS).index(source), share=len(builds))


def _is_of_later(source: Path, build: Build, known: Container[tuple[str, str]]) -> bool:
    return (source.stem, build.compiler) in known and is_later(build.compiler)


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "pairs"


@pytest.mark.parametrize("source", HARMFUL, ids=lambda it: it.stem)
def test_what_old_objects_would_not_survive_is_refused_or_named(folder: Path, source: Path) -> None:
    for build in builds(source):
        verdict = judged(folder, source, build)
        built = source.stem, build.compiler, build.level, build.symbols
        if source.stem in NAMED and built not in NO_TRACE:
            assert NAMED[source.stem] in {it.rule for it in verdict.findings}, build
        elif source.stem in NOTHING_TO_RUN and build.compiler == "clang" and build.level != "-O0":
            assert not verdict.refusals(None), build
        elif build.symbols == "stripped" and _is_of_later(source, build, NO_TRACE_OF_LATER):
            continue
        elif built not in NO_TRACE:
            assert verdict.refusals(None), build


@pytest.mark.parametrize("source", HARMLESS, ids=lambda it: it.stem)
def test_what_looks_like_it_and_is_harmless_is_accepted(folder: Path, source: Path) -> None:
    for build in builds(source):
        built = source.stem, build.compiler, build.level, build.symbols
        if _is_of_later(source, build, WRONG_NO_OF_LATER):
            continue
        if built not in WRONG_NO and built[:3] not in WRONG_NO:
            assert not judged(folder, source, build).refusals(None), build


@pytest.mark.parametrize("source", [it for it in HARMFUL if it.stem not in NAMED], ids=lambda it: it.stem)
def test_code_for_aarch64_tells_it_too(folder: Path, source: Path) -> None:
    for build in by_turns(source, AARCH64):
        if build.compiler == "clang" and source.stem in NOTHING_TO_RUN:
            continue
        is_missed = build.compiler in AARCH64_MISSES.get(source.stem, ())
        is_missed = is_missed and not _is_of_later(source, build, AARCH64_OF_LATER)
        is_missed = is_missed or _is_of_later(source, build, AARCH64_MISSES_OF_LATER)
        assert bool(judged(folder, source, build).refusals(None)) != is_missed, build


@pytest.mark.parametrize("source", [it for it in HARMFUL if it.stem not in NAMED], ids=lambda it: it.stem)
def test_code_for_riscv_tells_it_too(folder: Path, source: Path) -> None:
    for build in by_turns(source, RISCV64):
        if not (build.compiler == "clang" and source.stem in NOTHING_TO_RUN):
            is_missed = build.compiler in RISCV64_MISSES.get(source.stem, ())
            assert bool(judged(folder, source, build).refusals(None)) != is_missed, build


@pytest.mark.parametrize("source", HARMLESS, ids=lambda it: it.stem)
def test_code_for_riscv_that_looks_like_it_is_accepted(folder: Path, source: Path) -> None:
    for build in by_turns(source, RISCV64):
        is_wrong = build.compiler in RISCV64_WRONG_NO.get(source.stem, ())
        assert bool(judged(folder, source, build).refusals(None)) == is_wrong, build


def test_a_changed_value_is_named_with_its_functions_and_place(folder: Path) -> None:
    source = next(it for it in HARMFUL if it.stem == "enumeration_renumbered")
    found = {it.rule: it for it in judged(folder, source, ALWAYS[0]).refusals(None)}
    said = found["changed-value"]
    assert (said.old, said.new) == ("1", "2")
    assert "conn_close, conn_open and conn_write" in said.text
    assert "+0x0 of an object" in said.text
    assert any(place.startswith("conn_open: 0x") for place in said.where)


def test_types_that_agree_do_not_excuse_a_mask(folder: Path) -> None:
    source = next(it for it in HARMFUL if it.stem == "flag_of_another_bit")
    stripped, debug = (judged(folder, source, build).refusals(None) for build in ALWAYS[:2])
    assert {it.rule for it in stripped} == {it.rule for it in debug}
    assert "witness" in {it.rule for it in debug}
