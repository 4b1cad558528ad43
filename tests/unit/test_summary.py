"""What the summary says of an edit that is known: real compiled pairs, stripped and not."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from liveso.compare.function_edits import Exchange, Kinds
from liveso.elf import Image, read_image
from liveso.machine import AARCH64, X86_64
from liveso.verdict import Summary, summarise

OLD = r"""
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
struct file { int mode; long size; char name[64]; };
__attribute__((noinline)) static long weigh(struct file *it, long by) {
    long sum = it->size;
    for (int i = 0; i < 64; i++) sum = sum * 31 + it->name[i] * by;
    return sum;
}
struct file *file_new(const char *name) {
    struct file *it = malloc(sizeof *it);
    if (it) { it->mode = 4; it->size = 0; strncpy(it->name, name, 63); }
    return it;
}
long file_weight(struct file *it, int by) { return weigh(it, by) % 1000003; }
long file_order(struct file *it, struct file *other) { return weigh(it, 3) - weigh(other, 3); }
int file_check(struct file *it) { if (it->mode > 90) return puts("the mode is too large"); return it->mode; }
void file_free(struct file *it) { free(it); }
"""
BUILDS = [
    (compiler, level, *flags)
    for compiler in ("gcc", "clang")
    for level in ("-O1", "-O2")
    for flags in (("-s",), ("-g",))
    if shutil.which(compiler)
] + [("aarch64-linux-gnu-gcc", "-O2", "-s"), ("clang", "--target=aarch64-linux-gnu", "-O2", "-s")]
Compile = Callable[[str], Image]


@pytest.fixture(params=BUILDS, ids=" ".join)
def compiled(request: pytest.FixtureRequest, tmp_path: Path) -> Compile:
    compiler, *flags = request.param

    def build(text: str) -> Image:
        command = [compiler, "-fPIC", "-shared", "-w", *flags, "-x", "c", "-", "-o", str(tmp_path / "built.so")]
        subprocess.run(command, input=text, text=True, check=True)
        return read_image((tmp_path / "built.so").read_bytes())

    return build


def replaced(before: str, after: str, text: str = OLD) -> str:
    assert before in text
    return text.replace(before, after)


def names(summary: Summary) -> list[str]:
    return [it.function.name for it in summary.edited]


def only_edit(summary: Summary, name: str) -> Kinds:
    assert not summary.problem and not summary.added and not summary.gone
    (edit,) = summary.edited
    assert edit.function.name == name and edit.kinds is not None
    assert (edit.function.is_exported, edit.function.reached_by) == (True, ())
    return edit.kinds


def test_the_same_source_changes_nothing(compiled: Compile) -> None:
    found = summarise(compiled(OLD), compiled(OLD))
    assert (found.added, found.gone, found.edited) == ((), (), ()) and found.unchanged > 5
    assert found.compilers is None and not found.is_rebuilt


def test_a_function_that_only_lies_elsewhere_is_the_same(compiled: Compile) -> None:
    found = summarise(
        compiled(OLD), compiled(replaced("void file_free", "long first(long x) { return x * 7; } void file_free"))
    )
    assert [it.name for it in found.added] == ["first"] and not found.gone and not found.edited


def test_functions_that_come_and_go_are_named(compiled: Compile) -> None:
    new = compiled(
        replaced("void file_free(struct file *it) { free(it); }", "void file_close(int *it) { it[9] += 77; }")
    )
    found = summarise(compiled(OLD), new)
    assert [it.name for it in found.added] == ["file_close"] and [it.name for it in found.gone] == ["file_free"]
    assert all(it.is_exported for it in (*found.added, *found.gone))
    assert [it.name for it in summarise(new, compiled(OLD)).gone] == ["file_close"]


def test_calls_that_are_added_and_gone_are_named(compiled: Compile) -> None:
    old = compiled(OLD)
    new = compiled(replaced("{ free(it); }", "{ if (it) puts(it->name); free(it); srand(7); }"))
    kinds = only_edit(summarise(old, new), "file_free")
    assert kinds.calls == Exchange((), ("puts", "srand"))
    assert only_edit(summarise(new, old), "file_free").calls == Exchange(("puts", "srand"), ())


def test_another_function_that_is_called_from_the_same_place_is_seen(compiled: Compile) -> None:
    new = compiled(replaced("{ free(it); }", "{ puts((char *)it); }"))
    kinds = only_edit(summarise(compiled(OLD), new), "file_free")
    assert kinds == Kinds(calls=Exchange(("free",), ("puts",)))


def test_a_constant_that_is_stored_is_seen(compiled: Compile) -> None:
    new = compiled(replaced("it->mode = 4", "it->mode = 5"))
    assert only_edit(summarise(compiled(OLD), new), "file_new") == Kinds(constants=Exchange(("4",), ("5",)))


def test_a_comparison_that_changed_is_seen(compiled: Compile) -> None:
    new = compiled(replaced("it->mode > 90", "it->mode > 70"))
    kinds = only_edit(summarise(compiled(OLD), new), "file_check")
    assert not kinds.calls and not kinds.texts and not kinds.constants
    (gone,), (added,) = kinds.comparisons.gone, kinds.comparisons.added
    assert (int(gone.split()[-1]) - int(added.split()[-1])) == 20


def test_a_text_that_changed_is_seen_wherever_it_differs(compiled: Compile) -> None:
    for text in ("the mode is too smalL", "the mode is too small to be of any use"):
        new = compiled(replaced("the mode is too large", text))
        kinds = only_edit(summarise(compiled(OLD), new), "file_check")
        assert kinds == Kinds(texts=Exchange(("the mode is too large",), (text,)))


def test_a_floating_point_constant_is_one(compiled: Compile) -> None:
    text = OLD + "double half(double x) { return x * 0.5 + 3; }"
    old = compiled(text)
    kinds = only_edit(summarise(old, compiled(replaced("0.5", "0.25", text))), "half")
    if old.machine is X86_64:  # others have instructions that make such numbers of a few bits
        assert kinds == Kinds(constants=Exchange(("0.5",), ("0.25",)))


def test_a_function_without_a_name_is_known_by_those_that_reach_it(compiled: Compile) -> None:
    old, new = compiled(OLD), compiled(replaced("sum * 31", "sum * 37 + 5"))
    (edit,) = summarise(old, new).edited
    if old.section(".symtab"):
        assert edit.function.name == "weigh" and not edit.function.is_exported
    else:
        assert edit.function.name == "" and set(edit.function.reached_by) == {"file_order", "file_weight"}


def test_a_clone_of_another_kind_is_the_same_function(compiled: Compile) -> None:
    """gcc takes the argument away that all callers give alike (weigh.constprop.0), or what it points to
    (weigh.isra.0)."""
    old, new = compiled(OLD), compiled(replaced("weigh(it, by) % 1000003", "weigh(it, 3) % 1000003"))
    found = summarise(old, new)
    assert not found.added and not found.gone and "file_weight" in names(found)


def test_numbers_of_lines_are_no_edit(compiled: Compile) -> None:
    text = (
        OLD
        + """
    extern void *tracked(long size, const char *file, int line);
    extern void untracked(void *it, const char *file, int line);
    struct error { int code; const char *file; int line; };
    void *buffer_new(int x) {
        char *it = tracked(40, "lib/buffer.c", __LINE__);
        if (x > 4) { untracked(it, "lib/buffer.c", __LINE__); return 0; }
        return it;
    }
    int buffer_fail(struct error *it, int code) {
        if (it && code > 9) { it->code = 7; it->file = "lib/buffer.c"; it->line = __LINE__; }
        return 0;
    }"""
    )
    moved = replaced("extern void untracked", "\n\n\nextern void untracked", text)
    found = summarise(compiled(text), compiled(moved))
    assert (found.added, found.gone, found.edited) == ((), (), ())
    kinds = only_edit(summarise(compiled(text), compiled(replaced("tracked(40", "tracked(48", moved))), "buffer_new")
    assert kinds == Kinds(constants=Exchange(("40",), ("48",)))


def test_what_no_kind_fits_is_an_edit_of_the_code(compiled: Compile) -> None:
    new = compiled(replaced("sum = it->size", "sum = (char)it->name[9]"))
    (edit,) = summarise(compiled(OLD), new).edited
    assert edit.kinds == Kinds() and edit.kinds.is_empty


def test_what_tells_most_comes_first(compiled: Compile) -> None:
    text = replaced("it->mode = 4", "it->mode = 5", replaced("sum * 31", "sum * 37 + 5"))
    text = replaced("the mode is too large", "no such mode", text)
    text = replaced("it->mode > 90", "it->mode > 70", text)
    found = summarise(compiled(OLD), compiled(text))
    assert names(found)[:2] == ["file_check", "file_new"] and len(found.edited) == 3


def many(number: int, body: str) -> str:
    return "".join(f"long f{i}(long x, long *y) {{ long s = {i} + x; {body} return s; }}\n" for i in range(number))


def test_a_rebuild_is_told_from_an_update(tmp_path: Path) -> None:
    bodies = ["for (long i = 0; i < x; i++) s ^= y[i] + i;", "while (x--) s = (s << 3) ^ *y++;"]

    def build(body: str, rest: str = "") -> Image:
        command = ["gcc", "-O2", "-fPIC", "-shared", "-s", "-x", "c", "-", "-o", str(tmp_path / "built.so")]
        subprocess.run(command, input=many(150, body) + rest, text=True, check=True)
        return read_image((tmp_path / "built.so").read_bytes())

    old, new = map(build, bodies)
    found = summarise(old, new)
    assert found.is_rebuilt and len(found.edited) == 150 and all(it.kinds is None for it in found.edited)
    unfolded = summarise(old, new, reads_all=True)
    assert unfolded.is_rebuilt and len(unfolded.edited) == 150 and all(it.kinds for it in unfolded.edited)
    assert not summarise(old, build(bodies[0], "int more(void) { return 9; }")).is_rebuilt


def test_another_compiler_is_named(tmp_path: Path) -> None:
    images = []
    for compiler in ("gcc", "clang"):
        command = [compiler, "-shared", "-fPIC", "-w", "-x", "c", "-", "-o", str(tmp_path / "built.so")]
        subprocess.run(command, input=OLD, text=True, check=True)
        images.append(read_image((tmp_path / "built.so").read_bytes()))
    found = summarise(images[0], images[1])
    assert found.compilers and "GCC" in found.compilers[0] and "clang" in found.compilers[1]


def test_without_unwind_entries_nothing_is_said_to_be_the_same(tmp_path: Path) -> None:
    command = ["gcc", "-O2", "-fPIC", "-shared", "-nostdlib", "-fno-asynchronous-unwind-tables", "-fno-exceptions"]
    subprocess.run(
        [*command, "-x", "c", "-", "-o", str(tmp_path / "built.so")],
        input="int f(int x) { return x * 7; }",
        text=True,
        check=True,
    )
    image = read_image((tmp_path / "built.so").read_bytes())
    assert "no unwind entries" in summarise(image, image).problem


def test_versions_for_two_machines_are_not_compared(compiled: Compile) -> None:
    image = compiled(OLD)
    other = replace(image, machine=AARCH64 if image.machine is X86_64 else X86_64)
    assert summarise(image, other).problem.startswith(f"one is for {image.machine.name}, the other for ")


def test_what_cannot_be_read_is_said(compiled: Compile, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_old: Image, _new: Image) -> None:
        raise MemoryError("too\nmuch")

    monkeypatch.setattr("liveso.compare.summary.match_functions", fail)
    found = summarise(compiled(OLD), compiled(OLD))
    assert "MemoryError" in found.problem and found.problem.isprintable() and not found.edited
