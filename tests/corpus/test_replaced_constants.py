"""Constants that give way to a variable: what a program keeps was reckoned with them."""

import itertools

import pytest

from liveso.elf import read_image
from liveso.verdict import judge
from tests.harness import Bench

HASH = """
{0}
static unsigned mix(unsigned h, unsigned v)
{{
	v *= 0xcc9e2d51, v = v << 15 | v >> 17;
	return (h ^ v * 0x1b873593) * 5;
}}
unsigned hash(const unsigned char *text, int size)
{{
	unsigned h = {1};
	for (int i = 0; i < size; i++)
		h = mix(h, text[i]);
	return h ^ (unsigned)size;
}}
"""
FIXED, CHOSEN = "0x432a9843", "seed"
SEED = "static unsigned seed = 77;\nvoid choose(unsigned n) { seed = n; }"
BUILDS = list(itertools.product(("gcc", "clang"), ("-O0", "-O2")))


def found(bench: Bench, build: tuple[str, str], *texts: str) -> list[str]:
    compiler, level = build
    flags = (level, "-s", "-fPIC", "-shared", "-Wl,-soname,libhash.so")
    files = [
        bench.compile(text, f"{number}.so", *flags, compiler=compiler).read_bytes() for number, text in enumerate(texts)
    ]
    old, new = (read_image(content) for content in files)
    verdict = judge(old, new)
    return [it.text for it in verdict.refusals(frozenset()) if it.rule == "replaced-constant"]


@pytest.mark.parametrize("build", BUILDS, ids="".join)
def test_a_seed_that_is_chosen_refuses(idle_bench: Bench, build: tuple[str, str]) -> None:
    fixed, chosen = HASH.format("", FIXED), HASH.format(SEED, CHOSEN)
    assert "hash uses a new variable where it used 0x432a9843" in found(idle_bench, build, fixed, chosen)[0]
    assert "hash uses 0x432a9843 where it used a variable that is gone" in found(idle_bench, build, chosen, fixed)[0]


@pytest.mark.parametrize("build", BUILDS, ids="".join)
def test_a_new_variable_beside_the_same_constants_does_not(idle_bench: Bench, build: tuple[str, str]) -> None:
    counted = "static unsigned calls;\nunsigned called(void) { return calls; }"
    old = HASH.format("", FIXED)
    new = HASH.format(counted, FIXED).replace("return h ^", "calls++;\n\treturn h ^")
    assert found(idle_bench, build, old, new) == []
