"""Variables that moved, came or went, where the code shows more than that it may be so."""

from pathlib import Path

import pytest

from liveso.verdict import Verdict, judge
from tests.corpus.test_moved_variables import build, variables

COMPILERS = ("gcc", "clang")

DEVICES = """
struct device {{ const char *name, *text; long size; int (*open)(struct device *); long flags, padding[3]; }};
{devices}
static struct device *const list[] = {{ {list}, 0 }};
struct device *next(int n) {{ return list[n]; }}
long flags(const char *name) {{
    long n = 0;
    for (struct device *const *it = list; *it; it++) if ((*it)->name[0] == name[0]) n |= (*it)->flags++;
    return n;
}}
"""
DEVICE = """
static int open_{0}(struct device *it) {{ it->size += {1}; return it->name[1] * {1}1; }}
static struct device {0} = {{ "{0}", "The device {0}", {1}, open_{0}, {1}2 }};
"""

OPTIONS = """
int note(int);
{variables}
int options(int key, int value) {{
    switch (key) {{ {cases} default: return -1; }}
    return note(key) * 3;
}}
{readers}
"""


def devices(names: str) -> str:
    return DEVICES.format(
        devices="".join(DEVICE.format(f"device_{it}", ord(it)) for it in names),
        list=", ".join(f"&device_{it}" for it in names),
    )


def options(names: str) -> str:
    return OPTIONS.format(
        variables="\n".join(f"static int option_{it} = {ord(it)};" for it in names),
        cases="".join(f"case {ord(it)}: option_{it} = value != 0; break;\n" for it in names),
        readers="\n".join(
            f"int read_{it}(int n) {{ return n > 3 ? option_{it} * n + {ord(it)} : option_{it} / 7; }}" for it in names
        ),
    )


CHANGES = {
    "a device gone from the middle": (devices("abcde"), devices("abde")),
    "two devices gone": (devices("abcdef"), devices("abdf")),
    "the first device gone": (devices("abcd"), devices("bcd")),
    "an option inserted": (options("bdfh"), options("bcdfh")),
    "an option before all": (options("bdfh"), options("abdfh")),
    "options inserted": (options("bdfhjl"), options("bcdfhjkl")),
}


def verdict(folder: Path, compiler: str, texts: tuple[str, str]) -> tuple[Verdict, dict[str, range], dict[str, range]]:
    """With the places of the variables of both versions, as their symbol tables have them."""
    (old_named, old), (new_named, new) = (
        build(folder, name, text, compiler, "-O2") for name, text in zip(("old", "new"), texts, strict=True)
    )
    return judge(old, new), variables(old_named), variables(new_named)


UNCLEAR = {("clang", it) for it in CHANGES if "device" in it} | {("gcc", "the first device gone")}
"""Where the one function that uses them was unrolled, and refers to the devices themselves."""


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", CHANGES)
def test_each_variable_is_led_to_its_home(tmp_path: Path, compiler: str, name: str) -> None:
    found, before, after = verdict(tmp_path, compiler, CHANGES[name])
    refusals = [it.text for it in found.refusals(None) if it.rule not in ("symbol-removed", "unset-state")]
    if refusals:
        assert (compiler, name) in UNCLEAR, refusals
        return
    assert found.correspondence
    for variable, places in after.items():
        if variable in before and len(places) == len(before[variable]):
            assert found.correspondence.old(places.start) == before[variable].start, variable
