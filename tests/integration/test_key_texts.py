"""Functions of Debian's libcrypto that differ in their texts and in the number of a line of the source only."""

from pathlib import Path

import pytest

from tests.harness import Bench
from tests.packages import LIBRARIES, OPENSSL, package

LIBRARY = "libcrypto.so.3"
PROGRAM = Path(__file__).parent / "programs" / "key_texts.c"
KINDS = "ED448 ED25519 X448 X25519"


def file_of(version: str) -> Path:
    return package("libssl3", version) / LIBRARIES / LIBRARY


@pytest.mark.parametrize(("before", "after"), [OPENSSL[:2], OPENSSL[1:]])
def test_a_key_is_written_by_the_function_for_its_kind(bench: Bench, before: str, after: str) -> None:
    """What the program remembers of the old version's encoders leads to the new version's: each to its own, though
    lines were added to the source above them."""
    bench.take_verdicts()
    bench.link(str(file_of(before)), LIBRARY)
    bench.compile(PROGRAM, "key_texts", f"./{LIBRARY}", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./key_texts")
    program.wait_for("ready")
    bench.wait_for_library(program.pid, LIBRARY)
    program.ask("write")
    program.wait_for(f"{before.split('-')[0]} ")
    assert program.lines[-1].endswith(f": {KINDS}"), program.output()
    bench.update(str(file_of(after)), LIBRARY, program.pid)
    seen = len(program.lines)
    program.ask("write")
    program.wait_for(f"{after.split('-')[0]} ", after=seen)
    assert program.lines[-1].endswith(f": {KINDS}"), program.output()
    assert program.end() == 0, program.output()
