"""Look-alikes that differ in a number and in a text which no other function has, as a macro makes them that reports
errors by the name of the function and the line of the source.

Where lines were added above, the number of one is that of another in the version before. In a table beside each of them
stands a look-alike without text or number.
"""

import subprocess
from pathlib import Path

import pytest

from liveso.code import function_names
from liveso.elf import read_image
from liveso.verdict import Verdict, judge

COMPILERS = ("gcc", "clang")
KINDS = ("alpha", "beta", "gamma", "delta")

LIBRARY = r"""
#include <stdio.h>
#define API __attribute__((visibility("default"), noinline))
struct state { int n, failed; char said[64]; };
struct row { int number; void *function; };
API int report(struct state *it, const char *where, int line)
{ it->failed = line; return snprintf(it->said, sizeof it->said, "%s:%d", where, line); }
API int apply(struct state *it, int (*function)(struct state *, int), int n)
{ it->n += n; int found = function(it, n); return it->failed ? -found : found; }
static int opened(struct state *it) { it->n = 3; it->failed = 0; return it->said[0] + 17; }
static int alpha_put(struct state *it, int n) { return it->n * 3 + n; }
static int beta_put(struct state *it, int n) { for (int i = 0; i < n; i++) it->n ^= i * 5; return it->n; }
static int gamma_put(struct state *it, int n) { return n > 7 ? it->n / n : it->n << 2; }
static int delta_put(struct state *it, int n) { it->failed = n & 1; return snprintf(it->said, 9, "%d", n); }
#define KIND(kind, text, line)                                                                  \
    static int kind##_write(struct state *it, int n)                                            \
    { if (n < 0) { report(it, text, LINE(line)); return -1; } return apply(it, kind##_put, n); } \
    static int kind##_next(struct state *, int);                                                \
    static const struct row kind##_rows[] = {{1, opened}, {2, kind##_write}, {3, kind##_next}, {0, 0}};
#define NEXT(kind) static int kind##_next(struct state *it, int n) { return n < 9 ? apply(it, kind##_put, n + 1) : 7; }
{}
API const struct row *rows(int kind)
{ switch (kind) { case 0: return alpha_rows; case 1: return beta_rows; case 2: return gamma_rows; }
  return kind == 3 ? delta_rows : 0; }
API int first(struct state *it, const struct row *of)
{ return ((int (*)(struct state *))of[0].function)(it); }
"""


def write(kinds: tuple[str, ...], line: str, texts: dict[str, str] | None = None) -> str:
    """The functions of the kinds, in that order, at the lines that the macro's body `line` makes of their numbers."""
    known = texts or {}
    rows = (f'KIND({kind}, "{known.get(kind, f"{kind}_write of the library")}", {KINDS.index(kind)})' for kind in kinds)
    return "\n".join((f"#define LINE(at) ({line})", *rows, *(f"NEXT({kind})" for kind in kinds)))


def build(folder: Path, name: str, compiler: str, functions: str, level: str) -> tuple[Path, dict[str, int]]:
    """A stripped library, and the addresses of its functions by their names."""
    named, stripped = folder / f"{name}-named.so", folder / f"{name}.so"
    flags = (level, "-w", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-soname,libsubject.so", "-x", "c", "-")
    text = LIBRARY.replace("{}", functions, 1)
    order = ("-fno-toplevel-reorder",) if compiler == "gcc" else ()  # that of the source
    subprocess.run([compiler, "-o", named, *order, *flags], input=text, text=True, check=True)
    subprocess.run(["strip", "-o", stripped, named], check=True)
    return stripped, dict(function_names(read_image(named.read_bytes())))


def compared(
    folder: Path, compiler: str, before: str, after: str, level: str = "-O2"
) -> tuple[Verdict, dict[str, str]]:
    """The verdict, and what it takes the functions for."""
    old, names = build(folder, "old", compiler, before, level)
    new, names_now = build(folder, "new", compiler, after, level)
    verdict = judge(read_image(old.read_bytes()), read_image(new.read_bytes()))
    called, called_now = ({address: name for name, address in it.items()} for it in (names, names_now))
    found = {called[it.old]: called_now[it.new] for it in verdict.functions if it.old in called}
    return verdict, found


def ending(end: str, found: dict[str, str]) -> dict[str, str]:
    """Those functions of `found` whose name has an end."""
    return {name: other for name, other in found.items() if name.endswith(end)}


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    ("before", "after", "order"),
    [
        ("at + 100", "at + 101", KINDS),
        ("at + 103", "at + 101", KINDS),
        ("at * 16 + 4096", "at * 16 + 4144", KINDS),
        ("100 - at", "103 - at", ("delta", "beta", "alpha", "gamma")),
    ],
)
def test_the_number_of_another_function_is_no_name(
    tmp_path: Path, compiler: str, before: str, after: str, order: tuple[str, ...]
) -> None:
    verdict, found = compared(tmp_path, compiler, write(KINDS, before), write(order, after))
    assert not verdict.refusals(None)
    assert ending("_write", found) == {f"{kind}_write": f"{kind}_write" for kind in KINDS}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_function_whose_text_is_edited_is_the_same(tmp_path: Path, compiler: str) -> None:
    edited = {"gamma": "gamma_write says it in other words"}
    _verdict, found = compared(tmp_path, compiler, write(KINDS, "at + 7"), write(KINDS, "at + 7", edited))
    assert ending("_write", found) == {f"{kind}_write": f"{kind}_write" for kind in KINDS}


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("one", "other"), [("alpha", "delta"), ("gamma", "beta"), ("beta", "alpha")])
def test_functions_that_exchange_what_they_say_are_not_exchanged(
    tmp_path: Path, compiler: str, one: str, other: str
) -> None:
    """What they call is against the texts, and their shape is, too: they are left to those that see pointers."""
    edited = {one: f"{other}_write of the library", other: f"{one}_write of the library"}
    _verdict, found = compared(tmp_path, compiler, write(KINDS, "7 + at"), write(KINDS, "7 + at", edited))
    others = (kind for kind in KINDS if kind not in (one, other))
    assert ending("_write", found) == {f"{kind}_write": f"{kind}_write" for kind in others}


@pytest.mark.parametrize("level", ["-O1", "-O2", "-Os"])
def test_look_alikes_are_told_by_the_tables_that_hold_them(tmp_path: Path, level: str) -> None:
    """Their order says something else, and what they refer to does not speak against the tables."""
    before, after = write(KINDS, "at + 50"), write(("delta", "beta", "alpha", "gamma"), "at + 52")
    verdict, found = compared(tmp_path, "gcc", before, after, level)
    assert not verdict.refusals(None)
    assert ending("_next", found) == {f"{kind}_next": f"{kind}_next" for kind in KINDS}
