"""What AArch64 code reaches by way of the address of another variable, which no linker lists: gcc's section anchors and
clang's merged variables. Held against the symbols of variables whose uses are known. Nothing is run."""

import itertools
import random
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from liveso.code import References, data_references
from liveso.elf import read_image
from tests.corpus.ways import stripped

TARGET = "aarch64-linux-gnu"
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


def names_at(path: Path, kinds: str) -> dict[range, str]:
    """What the symbol table names, by where it lies; `kinds` are those of nm(1)."""
    listing = subprocess.run([f"{TARGET}-nm", "-S", str(path)], check=True, capture_output=True, text=True).stdout
    rows = re.findall(rf"^(\w+) (\w+) [{kinds}] (\w+)", listing, re.MULTILINE)
    return {range(int(at, 16), int(at, 16) + int(size, 16)): name for at, size, name in rows}


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
    for seed in range(3):
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
        for function, used in expected.items():
            assert used <= reached[function], function
        anchored += len(found.anchored)
        assert not np.isin(found.anchored["place"], found.table["place"]).any()
        assert np.isin(found.anchored["place"], found.pages["place"]).all()
        assert not found.undecoded and not found.unclear
    assert anchored > 100 or (compiler == "clang" and level != "-O3")
