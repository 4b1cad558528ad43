"""Functions that are handed to another library, and looked for there again."""

from pathlib import Path

import pytest

from liveso.elf import read_image
from liveso.verdict import judge
from tests.corpus.libraries import Build

SHORT = "static void cleanup(void *it) { count -= it != 0; }"
LOOP = """
__attribute__((visibility("hidden"))) void cleanup(void *);
asm(".text\\n.globl cleanup\\n.hidden cleanup\\n.type cleanup, @function\\ncleanup:\\n.cfi_startproc\\n"
    "decl (%rdi)\\njnz cleanup\\nret\\n.cfi_endproc\\n.size cleanup, .-cleanup");
"""
KEEPER = """
void pool_register(void *, void (*)(void *)), pool_kill(void *, void (*)(void *)), pool_walk(void *, void (*)(void *));
static int count;
{2}
void make(void *it) {{ count++; pool_register(it, cleanup); }}
void end(void *it) {{ {0}(it, cleanup); count += {1}; }}
"""


@pytest.mark.parametrize(
    ("callee", "cleanup", "is_refused"),
    [
        ("pool_kill", LOOP, True),
        ("pool_walk", LOOP, False),
        ("pool_register", LOOP, False),
        ("pool_kill", SHORT, False),
    ],
    ids=["looked for", "walked", "registered", "at home"],
)
def test_a_function_that_is_looked_for_again_and_has_no_home_is_refused(
    build: Build, callee: str, cleanup: str, is_refused: bool
) -> None:
    old, new = (read_image(Path(build(KEEPER.format(callee, it, cleanup))).read_bytes()) for it in (1, 2))
    refusals = judge(old, new).refusals(None)
    assert [it.rule for it in refusals] == (["handed-function"] if is_refused else [])
    assert not is_refused or "pool_register and to pool_kill" in refusals[0].text
