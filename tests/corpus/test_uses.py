"""What is found out about one function's members, held against the source that it was compiled from."""

from collections.abc import Iterator

from liveso.code import Reader, function_names, functions
from liveso.code.use import How, Use
from liveso.code.uses import uses
from liveso.elf import read_image
from tests.corpus.libraries import Build

SOURCE = """
#include <stdlib.h>
struct box { int kind; int count; char *text; int (*run)(struct box *, int); };
struct box *make(void) { struct box *b = malloc(sizeof *b); b->kind = 3; b->count = 0; return b; }
int branch(struct box *b, int n) { b->count = n < 0 ? 0 : n; return 1; }
int scan(const unsigned char *p) { int n = 0; while (*p) if ((*p++ & 0xf8) == 0xd8) n++; return n; }
int test(struct box *b) { return b->kind == 3 && b->count > 9; }
int call(struct box *b) { return b->run(b, b->count) + 1; }
void drop(struct box *b) { free(b->text); b->kind |= 4; }
"""


def used(build: Build, name: str, *flags: str) -> list[Use]:
    image = read_image(build(SOURCE, *flags).read_bytes())
    start = function_names(image)[name]
    end = dict(functions(image).tolist())[start]
    return uses(image, Reader(image).read(start, end))


def of(found: list[Use], how: How) -> Iterator[tuple[str, int, int | None]]:
    return ((it.spot.kind, it.spot.offset, it.constant) for it in found if it.how is how)


def test_first_values_are_those_of_a_new_object(build: Build) -> None:
    for level in ("-O0", "-O2"):
        found = [it for it in used(build, "make", level) if it.how is How.STORE and it.spot.kind == "object"]
        assert {(it.spot.offset, it.constant) for it in found} == {(0, 3), (4, 0)}
        assert all(it.is_fresh for it in found)


def test_a_value_that_may_be_one_of_two_is_no_constant(build: Build) -> None:
    for level in ("-O0", "-O2"):
        assert ("object", 4, 0) not in of(used(build, "branch", level), How.STORE)


def test_bytes_of_a_text_are_no_members(build: Build) -> None:
    masked = [it.spot.kind for it in used(build, "scan", "-O0") if it.how is How.MASK]
    assert masked == ["element"]


def test_comparisons_are_for_equality_or_order(build: Build) -> None:
    found = used(build, "test", "-O0")
    assert ("object", 0, 3) in of(found, How.EQUAL)
    assert ("object", 4, 9) in of(found, How.ORDER)


def test_arguments_of_a_call_through_a_member_are_known(build: Build) -> None:
    (it,) = (it for it in used(build, "call", "-O2") if it.how is How.CALL)
    assert it.spot.offset == 16
    assert it.what[:2] == (("argument", 0), ("object", 4))


def test_what_is_freed_and_what_gets_a_bit_is_seen(build: Build) -> None:
    found = used(build, "drop", "-O2")
    assert ("object", 8, None) in of(found, How.FREE)
    (mask,) = (it for it in found if it.how is How.MASK)
    assert (mask.spot.offset, mask.constant, mask.changes) == (0, 4, True)
