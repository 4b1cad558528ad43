"""What AArch64 code reaches by way of the address of another variable, which no linker lists: gcc's section anchors and
clang's merged variables. Held against the symbols of variables whose uses are known. Nothing is run."""

import itertools
import os
import random
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from liveso.code import References, data_references
from liveso.elf import read_image
from liveso.elf.data import data_layout
from liveso.verdict import Verdict, judge
from tests.corpus.assembled import TARGET, assembled_for_aarch64
from tests.corpus.ways import stripped

COMPILERS = {"gcc": [f"{TARGET}-gcc"], "clang": ["clang", f"--target={TARGET}"]}
LEVELS = ("-O1", "-O2", "-O3", "-Os")
FLAGS = ((), ("-mcmodel=tiny",), ("-flto",))

KINDS = {
    "static char {0}{1};": "{0}",
    "static short {0}{1};": "{0}",
    "static int {0}{1};": "{0}",
    "static long {0}{1};": "{0}",
    "static double {0}{1};": "{0}",
    "static float {0}{1};": "{0}",
    "static struct {{ long a; int b[7]; short c; }} {0};": "{0}.c",
    "static int {0}[12];": "{0}[5]",
    "static long {0}[9];": "{0}[k & 7]",
    "static struct {{ int a, b; long c; }} {0}[6];": "{0}[k % 6].c",
}
VARIABLES, FUNCTIONS, USED = 60, 60, 7
SEEDS = 3 if os.environ.get("LIVESO_CORPUS") == "full" else 1


def source(seed: int) -> tuple[str, dict[str, set[str]]]:
    """Functions that use some of many variables, and which they use."""
    chance = random.Random(seed)
    lines, uses = [], list[str]()
    for number in range(VARIABLES):
        declared, use = chance.choice(list(KINDS.items()))
        name = f"v{number}"
        lines.append(declared.format(name, chance.choice(("", f" = {number + 1}"))))
        uses.append(use.format(name))
    expected = {}
    for number in range(FUNCTIONS):
        used = chance.sample(range(VARIABLES), USED)
        ways = ("{} += k;", "{} = k;", "k += {};", "if ({} > k) return -k;", "{} = k; other(k); {} += 2;")
        body = " ".join(chance.choice(ways).replace("{}", uses[it]) for it in used)
        lines.append(f"long other(long); long f{number}(long k, double d) {{ {body} return k; }}")
        expected[f"f{number}"] = {f"v{it}" for it in used}
    # all are read and written somewhere, so that none is taken for a constant
    stores, total = " ".join(f"{it} = other(k);" for it in uses), " + ".join(uses)
    lines.append(f"long all_of_them(long k) {{ {stores} other(k); return {total}; }}")
    expected["all_of_them"] = {f"v{it}" for it in range(VARIABLES)}
    return "\n".join(lines), expected


def build(folder: Path, text: str, compiler: str, *flags: str) -> Path:
    path = folder / f"library{len(list(folder.iterdir()))}.so"
    linker = ["-fuse-ld=lld"] if compiler == "clang" and "-flto" in flags else []
    command = [*COMPILERS[compiler], "-g", "-shared", "-fPIC", "-w", *flags, *linker, "-x", "c", "-", "-o", str(path)]
    subprocess.run(command, input=text, text=True, check=True, capture_output=True)
    return path


def names_at(path: Path, kinds: str, sized: bool = True) -> dict[range, str]:
    """What the symbol table names, by where it lies; `kinds` are those of nm(1), and labels are not `sized`."""
    listing = subprocess.run([f"{TARGET}-nm", "-S", str(path)], check=True, capture_output=True, text=True).stdout
    size = r"(\w+) " if sized else "()"
    rows = re.findall(rf"^(\w+) {size}[{kinds}] (\w+)", listing, re.MULTILINE)
    return {range(int(at, 16), int(at, 16) + int(length or "1", 16)): name for at, length, name in rows}


def name_at(names: dict[range, str], address: int) -> str:
    return next((name for it, name in names.items() if address in it), "")


def found_in(path: Path) -> References:
    """What is found without symbols."""
    return data_references(read_image(stripped(path, f"{TARGET}-strip")))


BUILDS = [it for it in itertools.product(COMPILERS, LEVELS, FLAGS) if it[0] == "gcc" or it[2] != ("-mcmodel=tiny",)]


@pytest.mark.parametrize(("compiler", "level", "flags"), BUILDS, ids=lambda it: "".join(it) if it else "plain")
def test_each_access_by_way_of_an_anchor_leads_to_its_variable(
    tmp_path: Path, compiler: str, level: str, flags: tuple[str, ...]
) -> None:
    anchored = 0
    for seed in range(SEEDS):
        text, expected = source(seed)
        path = build(tmp_path, text, compiler, level, "-fno-inline", *flags)
        found, variables, functions = found_in(path), names_at(path, "bd"), names_at(path, "tT")
        reached: dict[str, set[str]] = defaultdict(set)
        for place, target, _number, forms_address in found.to_variables.tolist():
            if not forms_address:
                used = name_at(variables, target)
                assert used in expected[name_at(functions, place)], hex(place)
                reached[name_at(functions, place)].add(used)
            elif place in found.anchored["place"] or target in {it.start for it in variables}:
                reached[name_at(functions, place)].add(name_at(variables, target))
        for place, _base, target in found.bound.tolist():
            reached[name_at(functions, place)].add(name_at(variables, target))
        for function, variables_used in expected.items():
            assert variables_used <= reached[function], function
        anchored += len(found.anchored)
        assert not np.isin(found.anchored["place"], found.table["place"]).any()
        assert np.isin(found.anchored["place"], found.pages["place"]).all()
        assert not found.undecoded and not found.unclear
    assert anchored > 50 * SEEDS or (compiler == "clang" and level != "-O3")


DATA = """
	.data
	.p2align 4
one:	.quad 1
two:	.quad 2
three:	.quad 3
four:	.quad 4
"""
ONE = "adrp x8, one\n add x8, x8, :lo12:one\n"

SHAPES: dict[str, tuple[str, set[tuple[str, int]], set[tuple[str, int, int]]]] = {
    "an access with a displacement": (f"{ONE}u1: ldr x0, [x8, #16]", {("u1", 16)}, set()),
    "one that is not scaled": (f"{ONE} add x9, x8, #16\nu1: ldur x0, [x9, #-8]", {("u1", 8)}, set()),
    "one that leaves the sum": (f"{ONE}u1: str x0, [x8, #8]!\nu2: str x0, [x8, #8]", {("u1", 8), ("u2", 16)}, set()),
    "a sum": (f"{ONE}u1: add x0, x8, #24\n bl g", {("u1", 24)}, set()),
    "a difference": (f"{ONE}u1: add x9, x8, #24\nu2: sub x0, x9, #8\n bl g", {("u1", 24), ("u2", 16)}, set()),
    "two registers": (f"{ONE}u1: stp x0, x1, [x8, #8]", {("u1", 8), ("u1", 16)}, set()),
    "what is kept in the frame": (
        f"sub sp, sp, #32\n {ONE} str x8, [sp, #8]\n bl g\n ldr x9, [sp, #8]\nu1: ldr x0, [x9, #16]\n add sp, sp, #32",
        {("u1", 16)},
        set(),
    ),
    "an index": (f"{ONE} add x9, x8, x0, lsl #3\nu1: ldr x0, [x9, #8]", set(), {("u1", 0, 8)}),
    "one of two": (
        f"{ONE} cbz x0, 1f\nu2: add x8, x8, #8\n1:\nu1: ldr x0, [x8, #8]",
        {("u2", 8)},
        {("u1", 0, 8), ("u1", 8, 16)},
    ),
    "a step along an array": (f"{ONE}1: ldr x0, [x8]\nu1: add x8, x8, #8\n cbnz x0, 1b", set(), set()),
    "what a call leaves": (f"{ONE} bl g\nu1: ldr x0, [x8, #8]", set(), set()),
}


def assembled(folder: Path, code: str) -> tuple[References, dict[str, int]]:
    labels = re.findall(r"^([u]\d):", code, re.MULTILINE)
    hidden = "".join(f"\t.globl {it}\n\t.hidden {it}\n" for it in labels)
    path = assembled_for_aarch64(folder, code, DATA + hidden, "-Wl,-z,now")
    places = {name: it.start for it, name in names_at(path, "tT", sized=False).items()}
    return found_in(path), places


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_is_a_row_or_bound_to_where_it_comes_from(tmp_path: Path, name: str) -> None:
    code, rows, bound = SHAPES[name]
    found, places = assembled(tmp_path, code)
    start = int(found.table["target"][0])
    assert {(it[0], it[1] - start) for it in found.anchored.tolist() if it[0] in places.values()} == {
        (places[label], at) for label, at in rows
    }
    others = {it for it in found.bound.tolist() if it[2] - it[1] not in (3, 7, 15)}  # of one access
    assert {(place, base - start, target - start) for place, base, target in others} == {
        (places[label], base, target) for label, base, target in bound
    }


MOVED = """
static int first = 1; {inserted} static int second = 2; static long third = 3;
{before} int bump(int k) {{ {used} first += k; second ^= first; third -= k; return first + second; }}
int read(void) {{ return first + second + (int)third; }}
void set(int a, long b) {{ first = a; third = b; second = a + 1; }}
"""


def judged(folder: Path, compiler: str, level: str, texts: tuple[str, str]) -> tuple[Verdict, list[dict[str, int]]]:
    """The verdict over two stripped versions, and where the variables lie in each."""
    images, places = [], []
    for text in texts:
        order = ["-fno-toplevel-reorder"] if compiler == "gcc" else []
        path = build(folder, text, compiler, level, *order, "-Wl,-z,now")
        images.append(read_image(stripped(path, f"{TARGET}-strip")))
        start = data_layout(images[-1]).span.start
        places.append({name: it.start - start for it, name in names_at(path, "bd").items()})
    return judge(images[0], images[1]), places


@pytest.mark.parametrize(("compiler", "level"), [("gcc", "-O2"), ("gcc", "-Os"), ("clang", "-O2"), ("clang", "-O3")])
def test_variables_behind_an_anchor_are_found_where_they_moved(tmp_path: Path, compiler: str, level: str) -> None:
    texts = (
        MOVED.format(inserted="", before="", used=""),
        MOVED.format(inserted="static long added = 7;", before="long own(int k) { return added += k; }", used=""),
    )
    verdict, (before, after) = judged(tmp_path, compiler, level, texts)
    assert {before[it] - after[it] for it in ("first", "second", "third")} != {0}
    assert not verdict.refusals(None) and verdict.correspondence is not None
    assert all(verdict.correspondence.old(after[it]) == before[it] for it in ("first", "second", "third"))
    assert verdict.correspondence.old(after["added"]) is None


def test_what_one_instruction_accesses_must_not_have_been_apart(tmp_path: Path) -> None:
    """The new variable lies beside one that has a home elsewhere, and clang loads both at once."""
    texts = (
        MOVED.format(inserted="", before="", used=""),
        MOVED.format(inserted="static long added = 7;", before="", used="added += k;"),
    )
    verdict, _places = judged(tmp_path, "clang", "-O3", texts)
    assert any("which it moved apart" in it.text for it in verdict.refusals(None))


ROWS = ("alpha", "beta", "gamma", "delta", "epsilon")
MAKERS = """
#include <stdlib.h>
struct kind { const char *name; const void *where; int number, mask; };
struct context { void *given; const struct kind *kind; };
int shared(int n) { return n * 3; }
static struct context *make(void *given, const struct kind *kind)
{
	struct context *it = calloc(1, sizeof *it);
	if (it)
		it->given = given, it->kind = kind;
	return it;
}
int mask(struct context *it) { return it->kind->mask; }
"""
MAKER = """
static const struct kind {0} = {{"{0}", shared, {1}, {1} + 100}};
static void *make_{0}(void *given) {{ return make(given, &{0}); }}
"""


def test_functions_that_differ_in_a_distance_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """Each has the distance in the new version that another one had in the old one, for the constants came in another
    order; and one needs none, for its constant is the first."""
    images, names = [], []
    for number, order in enumerate((ROWS, (ROWS[-1], *ROWS[:-1]))):
        tables = "".join(f"void *(*const use_{it}[])(void *) = {{make_{it}, 0}};\n" for it in ROWS)
        text = MAKERS + "".join(MAKER.format(it, ROWS.index(it)) for it in order) + tables
        path = tmp_path / f"{number}.so"
        command = [*COMPILERS["gcc"], "-O2", "-fPIC", "-shared", "-x", "c", "-", "-o", str(path)]
        subprocess.run(command, input=text, text=True, check=True)
        listing = subprocess.run([f"{TARGET}-nm", str(path)], check=True, capture_output=True, text=True).stdout
        names.append({int(at, 16): name for at, name in re.findall(r"^(\w+) [tT] (\w+)$", listing, re.MULTILINE)})
        images.append(read_image(stripped(path, f"{TARGET}-strip")))
    found = {names[0][it.old]: names[1][it.new] for it in judge(images[0], images[1]).functions}
    assert found["mask"] == "mask"
    assert all(old == new for old, new in found.items()), found
