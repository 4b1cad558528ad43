"""Programs of eight threads that count all they do, while everything around them changes: their library, of which there
are four versions; their daemon, which is killed; their children. `make torture` goes on for longer, with figures."""

import os
import random
import re
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from liveso.process import memory_map
from tests.harness import Bench, Program
from tests.integration.test_attach import attach, traces

PROGRAMS = Path(__file__).parent / "programs"
UPDATES = int(os.environ.get("LIVESO_TORTURE", "5"))  # of each program
VERSIONS = 4
ENOUGH_FOR_CHILDREN = 50  # updates, for one to come while a child lives
DEATHS, CHILDRENS_DEATHS, IN_A_ROW = 1 / 10, 1 / 4, 1 / 5
"""How often, for an update: the daemon dies, a child does, another change comes at once."""
LONGEST_DELAY = 0.15  # seconds from a change on disk to the death of the daemon: an update takes as long
GROWTH, MORE_MAPPINGS = 2 << 20, 24
"""Bytes of its own, and mappings, that a program may grow by once it has had all versions: what malloc keeps for
threads, and their stacks, included. A version has five mappings."""
WARM_UP = 10  # lines that a program prints first


@dataclass
class Torture:
    """A program with its library, and what has been done to it."""

    bench: Bench
    program: Program
    chance: random.Random
    version: int = 1
    seen: set[int] = field(default_factory=lambda: {1})
    counts: dict[str, int] = field(default_factory=lambda: {"updates": 0, "daemons": 0, "children": 0})

    def next_version(self) -> int:
        """Any but the one that is there."""
        return 1 + (self.version + self.chance.randrange(VERSIONS - 1)) % VERSIONS

    def change(self) -> None:
        """Let another version come, and perhaps something else happen meanwhile; it is in force afterwards."""
        if self.chance.random() < IN_A_ROW:
            self.put(self.next_version())
        self.put(self.next_version())
        if self.chance.random() < CHILDRENS_DEATHS:
            self.kill_a_child()
        if self.chance.random() < DEATHS:
            time.sleep(self.chance.uniform(0, LONGEST_DELAY))  # at any step of an update: there is nothing to wait for
            self.bench.kill_daemon()
            self.bench.start_daemon()
            self.counts["daemons"] += 1
        self.bench.wait_for_version("libtorture.so", "libtorture.so", self.program.pid)
        self.program.wait_for(f"version {self.version} ", len(self.program.lines))
        self.seen.add(self.version)
        self.counts["updates"] += 1

    def put(self, version: int) -> None:
        self.version = version
        self.bench.link(f"libtorture.{version}.so", "libtorture.so")

    def kill_a_child(self) -> None:
        children = Path(f"/proc/{self.program.pid}/task/{self.program.pid}/children").read_text().split()
        if children:
            try:
                os.kill(int(self.chance.choice(children)), signal.SIGKILL)
            except ProcessLookupError:
                return
            self.counts["children"] += 1


def build(bench: Bench, suffix: str) -> None:
    compiler, flags = ("g++", ("-std=c++17",)) if suffix == "cc" else ("gcc", ())
    for version in range(1, VERSIONS + 1):
        options = ("-O2", "-fPIC", "-shared", "-pthread", f"-DVERSION={version}", *flags)
        bench.compile(PROGRAMS / f"torture_library.{suffix}", f"libtorture.{version}.so", *options, compiler=compiler)
    bench.link("libtorture.1.so", "libtorture.so")
    link = ("-L.", "-ltorture", f"-Wl,-rpath,{bench.folder}")
    bench.compile(PROGRAMS / f"torture.{suffix}", "torture", "-O2", "-pthread", *flags, *link, compiler=compiler)


def memory(pid: int) -> tuple[int, int]:
    """What a process has in memory of its own, in bytes, and the number of its mappings."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"RssAnon:\s*(\d+) kB", status)
    assert found
    return int(found[1]) << 10, len(memory_map.mappings(pid, pid))


def stall(line: str) -> float:
    """The longest time that a round of the busy threads took, in ms."""
    return float(line.partition(" longest ")[2].split()[0])


@pytest.mark.parametrize("is_prepared", [True, False], ids=["prepared", "attached"])
@pytest.mark.parametrize("suffix", ["c", "cc"])
def test_nothing_is_lost_whatever_happens(bench: Bench, suffix: str, is_prepared: bool) -> None:
    build(bench, suffix)
    program = bench.run("./torture") if is_prepared else bench.run_plain("./torture")
    for after in range(1, WARM_UP):
        program.wait_for("version 1", after)
    if not is_prepared:
        attach(bench, program)
    bench.library(program.pid, "libtorture.so")
    before = traces(program.pid)
    torture = Torture(bench, program, random.Random(f"{suffix} {is_prepared}"))
    begin, until = time.monotonic(), len(program.lines)
    while torture.counts["updates"] < UPDATES:
        torture.change()
        if len(torture.seen) < VERSIONS or torture.counts["updates"] <= UPDATES // 5:
            early = memory(program.pid)
    taken, late, (threads, descriptors) = time.monotonic() - begin, memory(program.pid), traces(program.pid)
    assert program.end() == 0, program.output()
    assert [it for it in program.lines if it.startswith("bad")] == []
    assert program.lines[-1] == "all is counted"
    sums = program.lines[-2].split()
    usual, longest = (max(map(stall, lines)) for lines in (program.lines[:until], program.lines[until:-1]))
    print(f"{torture.counts} in {taken:.0f} s, longest stall {longest} ms ({usual} ms before the first), "
          f"memory and mappings {early}, then {late}; {program.lines[-2]}")  # fmt: skip
    assert descriptors == before[1]
    if suffix == "c":  # in the other one, threads come and go
        assert threads == before[0]
    assert all(int(it) > 100 for it in sums[sums.index("progress") + 1 :]), sums
    assert int(sums[sums.index("killed") + 1]) <= torture.counts["children"]
    if UPDATES >= ENOUGH_FOR_CHILDREN:
        assert int(sums[sums.index("updated") + 1]) > 0
    assert late[0] - early[0] < GROWTH and late[1] - early[1] < MORE_MAPPINGS
