"""What the verdict says about a method that is another one: objects that were made before keep the old one."""

import pytest

from tests.corpus.libraries import Build, findings

METHODS = """
#include <stdlib.h>
#include <string.h>
struct connection { const struct methods *methods; char buffer[60]; int length; };
struct methods { int (*open)(struct connection *, const char *); int (*answer)(struct connection *, int *length);
                 int (*close)(struct connection *); };
static int begin(struct connection *it, const char *name)
{ strcpy(it->buffer, name); it->length = strlen(name); return it->length > 3; }
%(answer)s
static int end(struct connection *it) { it->length = 0; memset(it->buffer, 0, 60); free(it); return 0; }
static const struct methods methods = { begin, answer, end };
struct connection *make(void) { struct connection *it = calloc(1, sizeof *it); it->methods = &methods; return it; }
int reply(struct connection *it) { int length = it->length; %(call)s; return length; }
"""
SHORTEN = "static int answer(struct connection *it, int *length) { *length -= 2; return it->buffer[0]; }"
KEEP = "static int answer(struct connection *it) { return it->buffer[1] * 3; }"
CALL, CALL_WITHOUT_LENGTH = "it->methods->answer(it, &length)", "((int (*)(void *)) it->methods->answer)(it)"
EDITED = """static int answer(struct connection *it, int *length)
{ if (!it->methods || *length < 2) return -1;
  for (int i = 0; i < *length; i++) it->buffer[i] ^= 32; *length -= 2; return it->buffer[0]; }"""
HANDED_ON = """int decode(struct connection *, int *);
static int answer(struct connection *it, int *length) { return decode(it, length); }"""


def refusals(build: Build, answer: str, call: str) -> dict[str, str]:
    flags = ("-s", "-O2", "-w", "-Wno-incompatible-pointer-types")  # which is an error since gcc 14
    old = build(METHODS % {"answer": SHORTEN, "call": CALL}, *flags)
    new = build(METHODS % {"answer": answer, "call": call}, *flags)
    return {rule: it.text for rule, it in findings(old, new).items()}


def test_a_method_that_takes_fewer_parameters_is_a_witness(build: Build) -> None:
    assert "a function of other parameters" in refusals(build, KEEP, CALL_WITHOUT_LENGTH)["witness"]


@pytest.mark.parametrize("answer", [EDITED, HANDED_ON])
def test_a_method_that_was_edited_is_none(build: Build, answer: str) -> None:
    assert "witness" not in refusals(build, answer, CALL)


CLASS = """
struct Shape { virtual ~Shape() {} virtual long area() const = 0; %(pure)s };
struct Square : Shape { long side = 3; long area() const override { return side * side; } %(own)s };
extern "C" Shape *make(void) { return new Square; }
extern "C" long edge(const Shape *shape) { %(call)s }
"""
EDGE = {
    "pure": "virtual long edge() const = 0;",
    "own": "long edge() const override { return 4 * side; }",
    "call": "return shape->edge();",
}
EDGE_BY_POINTER = {
    "pure": "virtual void edge(long *) const = 0;",
    "own": "void edge(long *found) const override { *found = 4 * side; }",
    "call": "long found = -1; shape->edge(&found); return found;",
}


@pytest.mark.parametrize("versions", [(EDGE, EDGE_BY_POINTER), (EDGE_BY_POINTER, EDGE)], ids=["more", "fewer"])
def test_a_virtual_function_of_other_parameters_is_a_witness(
    build: Build, versions: tuple[dict[str, str], ...]
) -> None:
    """No other library needs its name: that it is gone refuses nothing."""
    old, new = (build(CLASS % it, "-s", compiler="g++") for it in versions)
    assert "a function of other parameters" in findings(old, new)["witness"].text
