"""A function whose callers count on registers that it leaves alone is not led on to a version that changes them."""

import pytest

from liveso.code import function_names
from liveso.elf import read_image
from liveso.verdict import judge
from tests.corpus.libraries import Build

LEAVES = {
    "as many registers": ("return n * 5;", True),
    "more registers": ("return (n * 3 ^ n >> 5) * 7 + (n % 13) * (n - 9);", False),
    "a call of what nobody knows": ("return outside(n) + 1;", False),
    "a call of a leaf": ("return other(n) + 1;", "gcc"),  # clang pops what it pushed for the stack's sake into rcx
    "a call of a leaf with more registers": ("return greedy(n) + 1;", False),
}


def library(leaf: str) -> str:
    return f"""
    long outside(long);
    __attribute__((noinline)) static long other(long n) {{ return n * 9; }}
    __attribute__((noinline)) static long greedy(long n) {{ return (n * 3 ^ n >> 5) * 7 + (n % 13) * (n - 9); }}
    __attribute__((noinline)) static long leaf(long n) {{ {leaf} }}
    void *kept;
    void keep(void) {{ kept = (void *)leaf; }}
    long sum(long *values, long count)
    {{
        long found = other(count) + greedy(count);
        for (long at = 0; at < count; at++)
            found += leaf(values[at]) * at;
        return found;
    }}
    long through(long n) {{ return outside(n); }}
    """


@pytest.mark.parametrize("name", LEAVES)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_old_callers_find_the_registers_that_they_count_on(build: Build, compiler: str, name: str) -> None:
    leaf, is_led_on = LEAVES[name]
    old, new = (read_image(build(library(it), "-O2", compiler=compiler).read_bytes()) for it in ("return n * 3;", leaf))
    address = function_names(old)["leaf"]
    (found,) = (it for it in judge(old, new).functions if it.old == address)
    assert (found.place is not None) == (is_led_on in (True, compiler))


def test_a_function_that_is_not_called_directly_is_led_on(build: Build) -> None:
    texts = (
        library(it).replace("found += leaf(values[at]) * at", "found += values[at]")
        for it in ("return n * 3;", LEAVES["more registers"][0])
    )
    old, new = (read_image(build(text, "-O2").read_bytes()) for text in texts)
    (found,) = (it for it in judge(old, new).functions if it.old == function_names(old)["leaf"])
    assert found.place is not None
