"""What liveso costs, as a table on standard output and as JSON in `bench/results.json`.

Machines are noisy: figures that compare are ratios of interleaved runs, and medians.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.harness import AGENT, LIVESO, Bench, Program, wait_until
from tests.packages import LIBRARIES, package

PROGRAMS = Path(__file__).parent / "programs"
LIBRARY = """
static int sum;
int add(int number) { return sum += number; }
int version(void) { return VERSION; }
"""
ROUNDS = 21
OVERWRITES = 11
LIBCRYPTO = ("3.0.20-1~deb12u2", "3.0.22-1~deb12u2")


def build(bench: Bench, name: str, versions: int = 2) -> None:
    for version in range(1, versions + 1):
        flags = ("-O2", "-fPIC", "-shared", f"-DVERSION={version}", "-Wl,-soname,libbench.so")
        bench.compile(LIBRARY, f"libbench.{version}.so", *flags)
    bench.link("libbench.1.so", "libbench.so")
    bench.compile(PROGRAMS / f"{name}.c", name, "-O2", "-pthread", "-L.", "-lbench", "-Wl,-rpath,$ORIGIN")


def switch(bench: Bench, program: Program, version: int) -> None:
    """Change the library by rename, and wait until the daemon has updated the program."""
    assert bench.daemon
    daemon, before = bench.daemon, len(bench.daemon.error_lines)
    bench.link(f"libbench.{version}.so", "new")
    os.rename(bench.folder / "new", bench.folder / "libbench.so")
    wait_until(lambda: any("event=updated" in line for line in daemon.error_lines[before:]), "the update")


def ask(program: Program) -> float:
    return ask_all(program)[0]


def ask_all(program: Program) -> list[float]:
    before = len(program.lines)
    program.ask("")
    return [float(part) for part in _next_line(program, before).split()]


def _next_line(program: Program, before: int) -> str:
    return str(wait_until(lambda: program.lines[before:], "a line")[0])


def calls(bench: Bench) -> dict[str, float]:
    """Calls per second through an updated library, and through the same library in a plain process."""
    build(bench, "calls")
    live = bench.run("./calls", LIVE_LOGLEVEL="0")
    bench.library(live.pid, "libbench.so")
    switch(bench, live, 2)
    plain = bench.run_plain("./calls")
    pairs = [(ask(live), ask(plain)) for _ in range(ROUNDS)]
    return {
        "calls updated (M/s)": statistics.median(it[0] for it in pairs) / 1e6,
        "calls updated / plain": statistics.median(it[0] / it[1] for it in pairs),
    }


def alone(bench: Bench) -> dict[str, float]:
    """What a program with one thread does without locks, updated and in a plain process."""
    build(bench, "calls")
    bench.compile(PROGRAMS / "alone.cc", "alone", "-O2", "-L.", "-lbench", "-Wl,-rpath,$ORIGIN", compiler="g++")
    live, plain = bench.run("./alone", LIVE_LOGLEVEL="0"), bench.run_plain("./alone")
    bench.library(live.pid, "libbench.so")
    switch(bench, live, 2)
    pairs = [(ask_all(live), ask_all(plain)) for _ in range(ROUNDS)]
    names = ("copies of a shared_ptr", "putc")
    return {
        f"{name}, updated / plain": statistics.median(it[0][n] / it[1][n] for it in pairs)
        for n, name in enumerate(names)
    }


def latency(bench: Bench) -> dict[str, float]:
    """From the rename to the first call that runs new code, for versions that are new to the process and for versions
    that are loaded already, and the daemon's own account of its steps."""
    build(bench, "watch", ROUNDS)
    program = bench.run("./watch", LIVE_LOGLEVEL="0")
    bench.library(program.pid, "libbench.so")

    def change(version: int) -> float:
        bench.link(f"libbench.{version}.so", "new")
        before, start = len(program.lines), time.time()
        os.rename(bench.folder / "new", bench.folder / "libbench.so")
        found = _next_line(program, before).split()
        assert int(found[0]) == version
        return (float(found[1]) - start) * 1e3

    fresh = [change(version) for version in range(2, ROUNDS + 1)]
    bench.link("libbench.1.so", "libbench.so")
    first, program = program, bench.run("./watch", LIVE_LOGLEVEL="0", LIVE_ONLY="libbench.so")
    first.kill()
    bench.wait_for_library(program.pid, "libbench.so", result="current")
    kept = [change(version) for version in range(2, ROUNDS + 1)]
    back = [change(version) for version in range(1, ROUNDS)]
    assert bench.daemon
    lines = [line for line in bench.daemon.error_lines if "event=updated" in line][1 : len(fresh)]
    steps = {}
    for step in ("snapshot", "judge", "open", "relink", "redirect"):
        taken = [float(found[1]) for line in lines if (found := re.search(rf"{step}_ms=([0-9.]+)", line))]
        steps[f"  of it {step}, median (ms)"] = statistics.median(taken)
    return {
        "latency, first update (ms)": fresh[0],
        "latency, new version, median (ms)": statistics.median(fresh[1:]),
        **steps,
        "latency, kept verdict, median (ms)": statistics.median(kept[1:]),
        "latency, loaded version, median (ms)": statistics.median(back),
    }


def start_up(bench: Bench) -> dict[str, float]:
    """The time that programs take which do next to nothing, with the daemon running."""
    bench.compile("int main(void) { return 0; }", "nothing", "-O2")
    quiet = {**bench.environment, "LIVE_LOGLEVEL": "0"}

    def run(command: list[str], environment: dict[str, str]) -> float:
        start = time.perf_counter()
        subprocess.run(command, env=environment, check=True)
        return (time.perf_counter() - start) * 1e3

    def pairs(command: list[str], rounds: int) -> list[tuple[float, float]]:
        return [(run(command, {**quiet, "LD_PRELOAD": str(AGENT)}), run(command, quiet)) for _ in range(rounds)]

    def ratio(command: list[str], rounds: int) -> float:
        return statistics.median(live / plain for live, plain in pairs(command, rounds))

    nothing = pairs([str(bench.folder / "nothing")], 5 * ROUNDS)
    many = "for i in {1..500}; do /bin/true; done"
    return {
        "start-up, more than without (ms)": statistics.median(live - plain for live, plain in nothing),
        "start-up of /bin/true, with / without": ratio(["/bin/true"], 10 * ROUNDS),
        "start-up of python3 -c pass, with / without": ratio(["/usr/bin/python3", "-c", "pass"], 2 * ROUNDS),
        "bash starts /bin/true 500 times, with / without": ratio(["/bin/bash", "-c", many], 7),
    }


def status_start(bench: Bench) -> dict[str, float]:
    """The time that `liveso status` takes, with the daemon running."""
    build(bench, "calls")
    program = bench.run("./calls", LIVE_LOGLEVEL="0")
    bench.library(program.pid, "libbench.so")
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run([LIVESO, "status"], env=bench.environment, stdout=subprocess.DEVNULL, check=True)
        taken.append((time.perf_counter() - start) * 1e3)
    return {"start of `liveso status`, median (ms)": statistics.median(taken)}


def stall(bench: Bench) -> dict[str, float]:
    """The longest time that any of 8 busy threads was blocked, in rounds with an update and rounds without."""
    build(bench, "stall")
    return stalls(bench, "libbench.so", "an update")


def stall_by_large_library(bench: Bench) -> dict[str, float]:
    """The same where libcrypto is updated, which the threads call."""
    link_libcrypto(bench)
    flags = ("-O2", "-pthread", "-Dversion=OpenSSL_version_num", "./libbench.so", "-Wl,-rpath,$ORIGIN")
    bench.compile(PROGRAMS / "stall.c", "stall", *flags)
    return stalls(bench, "libcrypto.so.3", "an update of libcrypto")


def stalls(bench: Bench, library: str, what: str) -> dict[str, float]:
    program = bench.run("./stall", LIVE_LOGLEVEL="0")
    bench.library(program.pid, library)
    with_update, without = [], []
    for number in range(ROUNDS):
        ask(program)
        start = time.monotonic()
        switch(bench, program, 2 - number % 2)
        with_update.append(ask(program))
        passed = time.monotonic() - start
        time.sleep(passed)
        without.append(ask(program))
    return {
        f"stall with {what}, median (ms)": statistics.median(with_update),
        f"stall with {what}, longest (ms)": max(with_update),
        f"stall without {what}, longest (ms)": max(without),
    }


def forks(bench: Bench) -> dict[str, float]:
    """What live.so adds to fork(2), in the parent and until the child runs, and what a child costs the daemon, in a
    program with the libraries of a server."""
    libraries = [package("libssl3", LIBCRYPTO[0]) / LIBRARIES / name for name in ("libcrypto.so.3", "libssl.so.3")]
    for file in libraries:
        shutil.copy(file, bench.folder / file.name)
    build(bench, "forks")
    flags = ("-Wl,--no-as-needed", *(f"./{it.name}" for it in libraries), "-lstdc++", "-Wl,-rpath,$ORIGIN")
    bench.compile(PROGRAMS / "forks.c", "forks", "-O2", "-L.", "-lbench", *flags)
    live, plain = bench.run("./forks", LIVE_LOGLEVEL="0"), bench.run_plain("./forks")
    bench.library(live.pid, "libbench.so")
    switch(bench, live, 2)
    assert bench.daemon
    taken, pairs = [], []
    for _ in range(5):
        before = processor_time(bench.daemon.pid)
        pairs.append((ask_all(live), ask_all(plain)))
        taken.append((processor_time(bench.daemon.pid) - before) / 100)
    return {
        "fork in the parent, more than without (ms)": statistics.median(one[0] - two[0] for one, two in pairs),
        "fork until the child runs, more than without (ms)": statistics.median(one[1] - two[1] for one, two in pairs),
        "the daemon's work for a child of fork, median (ms)": statistics.median(taken),
    }


def processor_time(pid: int) -> float:
    """What a process has used until now, in ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e3 / os.sysconf("SC_CLK_TCK")


def private(program: Program) -> int:
    """Written private memory of a process, in KiB."""
    text = Path(f"/proc/{program.pid}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"^Private_Dirty:\s+(\d+)", text, re.M))


def anonymous(program: Program) -> int:
    """Memory of a process that no file holds, in KiB: unlike the above, without what a file's writer has just left."""
    text = Path(f"/proc/{program.pid}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"^Anonymous:\s+(\d+)", text, re.M))


def memory(bench: Bench) -> dict[str, float]:
    """Written private memory of a process with live.so and no update, more than without, and what an update adds."""
    build(bench, "calls")
    live, plain = bench.run("./calls", LIVE_LOGLEVEL="0"), bench.run_plain("./calls")
    bench.library(live.pid, "libbench.so")
    for program in (live, plain):
        ask(program)
    before = private(live)
    switch(bench, live, 2)
    return {"memory of live.so (KiB)": before - private(plain), "memory of an update (KiB)": private(live) - before}


def link_libcrypto(bench: Bench) -> None:
    """Let libbench be libcrypto."""
    for version in (1, 2):
        file = package("libssl3", LIBCRYPTO[version - 1]) / LIBRARIES / "libcrypto.so.3"
        bench.link(str(file), f"libbench.{version}.so")
    bench.link("libbench.1.so", "libbench.so")
    bench.link("libbench.so", "libcrypto.so.3")


def large_library(bench: Bench) -> dict[str, float]:
    """What an update of libcrypto (5 MB, 1,200 references to variables) takes and adds, in a program that has
    initialised it."""
    link_libcrypto(bench)
    bench.compile(PROGRAMS / "digest.c", "digest", "-O2", "./libbench.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./digest", LIVE_LOGLEVEL="0")
    bench.library(program.pid, "libcrypto.so.3")
    ask(program)
    before, start = private(program), time.perf_counter()
    switch(bench, program, 2)
    taken = (time.perf_counter() - start) * 1e3
    added = private(program) - before
    ask(program)
    return {"update of libcrypto (ms)": taken, "memory of an update of libcrypto (KiB)": added}


def overwritten(bench: Bench) -> dict[str, float]:
    """What it costs that libcrypto is overwritten in place while 8 busy threads have it mapped: the longest time that
    any of them was blocked, how long the writer waited, what private memory is written by it. Each process meets it
    once, so that there are several."""
    files = [package("libssl3", version) / LIBRARIES / "libcrypto.so.3" for version in LIBCRYPTO]
    build(bench, "stall")
    shutil.copy(files[0], bench.folder / "libcrypto.so.3")
    flags = ("-Wl,--no-as-needed", "./libcrypto.so.3", "-Wl,-rpath,$ORIGIN")
    bench.compile(PROGRAMS / "stall.c", "stall", "-O2", "-pthread", "-L.", "-lbench", *flags)
    assert bench.daemon
    log, stalls, waits, memories = bench.daemon.error_lines, [], [], []
    for number in range(1, OVERWRITES + 1):
        program = bench.run("./stall", LIVE_LOGLEVEL="0", LIVE_ONLY="libcrypto*")
        bench.library(program.pid, "libcrypto.so.3")
        ask(program)
        before, seen, start = anonymous(program), len(log), time.perf_counter()
        with (bench.folder / "libcrypto.so.3").open("r+b") as file:  # returns when the writer may go on
            waits.append((time.perf_counter() - start) * 1e3)
            stalls.append(ask(program))
            memories.append(anonymous(program) - before)
            file.write(files[number % 2].read_bytes())
        assert any("event=carried" in line for line in log[seen:])
        program.kill()
    return {
        "stall with libcrypto overwritten, median (ms)": statistics.median(stalls),
        "stall with libcrypto overwritten, longest (ms)": max(stalls),
        "its writer waits, median (ms)": statistics.median(waits),
        "its writer waits, longest (ms)": max(waits),
        "memory of libcrypto overwritten, median (KiB)": statistics.median(memories),
    }


def main() -> None:
    measurements: tuple[Callable[[Bench], dict[str, float]], ...] = (
        *(
            calls,
            alone,
            latency,
            start_up,
            status_start,
            stall,
            stall_by_large_library,
            forks,
            memory,
            large_library,
            overwritten,
        ),
    )
    results: dict[str, float] = {}
    for measure in measurements:
        with tempfile.TemporaryDirectory(prefix="liveso-bench-") as folder:
            bench = Bench(Path(folder))
            bench.start_daemon()
            try:
                results |= measure(bench)
            finally:
                bench.close()
    table = Table("figure", "value")
    for name, value in results.items():
        table.add_row(name, f"{value:.3f}")
    Console().print(table)
    (Path(__file__).parent / "results.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
