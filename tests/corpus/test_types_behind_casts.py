"""Structures that code reaches by a cast alone: no variable and no parameter has their type."""

from pathlib import Path

import pytest

from tests.corpus.libraries import Build, findings

SOURCE = """
%(declaration)s
double store_thermometer(void *it) { return ((%(type)s *)it)->celsius * FACTOR; }
void set_thermometer(void *it, double celsius) { ((%(type)s *)it)->celsius = celsius; }
double warmer(void *it) { return ((%(type)s *)it)->USED + 1; }
"""
MEMBERS = "long count; %s double celsius; double kelvin;"
FORMS = {
    # the linker keeps the name as the end of set_thermometer, and no string of its own
    "tag": ("struct thermometer {{ {} }};", "struct thermometer"),
    "short tag": ("struct t {{ {} }};", "struct t"),
    "typedef": ("typedef struct {{ {} }} thermometer;", "thermometer"),
    "other language": ("namespace house {{ struct thermometer {{ {} }}; }}", "house::thermometer"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_a_member_that_moves_is_seen_and_one_that_is_exchanged_is_an_edit(build: Build, form: str, level: str) -> None:
    declaration, name = FORMS[form]
    compiler = "g++" if "::" in name else "gcc"

    def version(added: str, used: str) -> Path:
        text = SOURCE % {"declaration": declaration.format(MEMBERS % added), "type": name}
        return build(text, "-g", level, "-DFACTOR=2", f"-DUSED={used}", compiler=compiler)

    old = version("", "celsius")
    moved = findings(old, version("long made;", "celsius"))
    assert "witness" in moved
    assert not findings(old, version("", "kelvin"))
