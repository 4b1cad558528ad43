"""Programs that end while the daemon looks at them."""

import os
import re

import pytest

from tests.harness import Bench, wait_until

LARGE = """
const char table[24 << 20] = {1};
int version(void) { return table[0]; }
"""
PROGRAM = """
#include <stdlib.h>
#include <unistd.h>
int version(void);
int main(int count, char **arguments)
{
	usleep(1000 * atoi(arguments[1]));
	if (count > 2)
		execl(arguments[2], arguments[2], arguments[1], (char *)0);
	return version() - 1;
}
"""
OTHER = "#include <unistd.h>\nint main(void) { usleep(2000000); return 0; }\n"


@pytest.fixture
def large(bench: Bench) -> Bench:
    """A library that is known by all its content, which takes a while to compare."""
    flags = ("-O1", "-fPIC", "-shared", "-Wl,--build-id=none", "-Wl,-soname,liblarge.so")
    bench.compile(LARGE, "liblarge.so", *flags)
    bench.compile(PROGRAM, "program", "-L.", "-llarge", "-Wl,-rpath,$ORIGIN")
    bench.compile(OTHER, "other")
    kept = bench.run("./program", "600000")
    bench.library(kept.pid, "liblarge.so")
    return bench


@pytest.mark.parametrize("then", [(), ("./other",)], ids=["ends", "executes another program"])
def test_what_a_program_had_loaded_is_not_said_to_be_unknown(large: Bench, then: tuple[str, ...]) -> None:
    assert large.daemon
    pids = set()
    for milliseconds in range(0, 120, 3):
        program = large.run("./program", str(milliseconds), *then, LIVE_LOGLEVEL="0")
        pids.add(program.pid)
        if not then:
            assert program.end() == 0
    last = large.run("./program", "600000")
    large.library(last.pid, "liblarge.so")
    wait_until(lambda: not pids & {it["pid"] for it in large.status() if _has_large(it)}, "all to be gone")
    failed = [line for line in large.daemon.error_lines if re.search("event=(failed|internal-error)", line)]
    assert not [line for line in failed if "liblarge" in line or "internal" in line]


def _has_large(target: dict[str, list[dict[str, str]]]) -> bool:
    return any(os.path.basename(it["path"]) == "liblarge.so" for it in target["libraries"])
