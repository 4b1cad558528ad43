"""Functions that are handed to another library, and looked for there again."""

from pathlib import Path

import pytest

from liveso.elf import read_image
from liveso.verdict import judge
from tests.corpus.libraries import Build

KEEPER = """
void pool_register(void *, void (*)(void *)), pool_kill(void *, void (*)(void *)), pool_walk(void *, void (*)(void *));
static int count;
static void cleanup(void *it) {{ count -= it != 0; }}
void make(void *it) {{ count++; pool_register(it, cleanup); }}
void end(void *it) {{ {0}(it, cleanup); count += {1}; }}
"""


@pytest.mark.parametrize(
    ("callee", "is_refused"), [("pool_kill", True), ("pool_walk", False), ("pool_register", False)]
)
def test_a_function_that_is_looked_for_again_is_refused(build: Build, callee: str, is_refused: bool) -> None:
    old, new = (read_image(Path(build(KEEPER.format(callee, number))).read_bytes()) for number in (1, 2))
    refusals = judge(old, new).refusals(None)
    assert [it.rule for it in refusals] == (["handed-function"] if is_refused else [])
    assert not is_refused or "pool_register and to pool_kill" in refusals[0].text
