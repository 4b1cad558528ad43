"""Visits whose every step may be the last one of who holds the thread: the process runs on, and is as it was."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import liveso
from liveso.apply.carry import mappings_of
from liveso.errors import TargetError
from liveso.holder import orders
from liveso.process import Visited, holding, memory_map, proc
from liveso.process.freeze import still
from liveso.process.holding import NotYetStill, talk
from liveso.process.native import native_machine
from liveso.process.visit import Visit
from liveso.store import Store
from tests.harness import AGENT, Bench, Program, wait_until
from tests.steady import INTERRUPTED, noticed

STEADY = Path(__file__).parent / "programs" / "steady.c"
STEPS = 60  # more calls of ptrace(2) than two visits take, and what they do not reach is done
DEATHS = int(os.environ.get("LIVESO_DEATHS", "55"))
DIES = """
import os, sys
sys.path.append(sys.argv[1])
from liveso.holder import registers
from liveso.holder.facts import facts_of
from liveso.holder.serve import serve

real, left = registers._libc, int(sys.argv[3])

class Libc:
    def ptrace(self, *arguments):
        global left
        left -= 1
        if left == 0:
            os._exit(1)
        return real.ptrace(*arguments)

registers._libc = Libc()
serve(facts_of(sys.argv[2]))
"""
"""Dies before so many calls of ptrace(2) are made."""

IS_LATE = """
import sys, time
sys.path.append(sys.argv[1])
from liveso.holder import calls
from liveso.holder.facts import facts_of
from liveso.holder.serve import serve

real, facts, move = calls.ptrace, facts_of(sys.argv[2]), int(sys.argv[3])

def ptrace(request, thread, data=0):
    registers = calls.read_registers(thread, calls.PRSTATUS)
    if int.from_bytes(registers[facts.number_at : facts.number_at + 8], "little") == move:
        time.sleep(0.3)
    return real(request, thread, data)

calls.ptrace = ptrace
serve(facts)
"""
"""Waits before and after each system call of a number."""


@pytest.fixture
def live(tmp_path: Path) -> str:
    """The prepared copy of live.so."""
    store = Store(tmp_path / "store-of-live")
    return str(store.prepared(store.add(AGENT), "live.so"))


@contextmanager
def other_holder(code: str, *arguments: str) -> Iterator[None]:
    """Other code than usual holds threads."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            command = [sys.executable, "-I", "-S", "-c", code, str(Path(liveso.__path__[0]).parent)]
            command += [holding.facts().written(), *arguments]
            process = subprocess.Popen(command, stdin=theirs.fileno(), start_new_session=True, cwd="/")
        before = holding._control, holding._process
        holding._control, holding._process = ours, process
        try:
            yield
        finally:
            holding._control, holding._process = before
            process.kill()
            process.wait()


def build(bench: Bench, waiting: int, computing: int) -> Program:
    bench.compile("int version(void) { return 1; }", "libversion.so", "-shared", "-fPIC")
    link = ("-L.", "-lversion", f"-Wl,-rpath,{bench.folder}")
    bench.compile(STEADY, "steady", "-O2", "-pthread", *link)
    program = bench.run_plain("./steady", str(waiting), str(computing))
    program.wait_for("version 1")
    return program


def expect_that_waits_go_on(program: Program) -> None:
    program.wait_for("version 1", len(program.lines))
    assert noticed(program) == []


async def two_visits(pid: int, path: str) -> bool:
    """False where the holder has died."""
    agent = Visited(pid, native_machine(), path, "", meets_at_once=True)
    try:
        await agent.greet()
        await agent.list_objects()
        return True
    except TargetError:
        return False
    finally:
        agent.disconnect()


@pytest.mark.parametrize("waiting, computing", [(0, 0), (2, 1)])
def test_a_process_runs_on_whenever_the_holder_dies(
    idle_bench: Bench, live: str, waiting: int, computing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a call may use is left to the thread that is in it still, which on a busy machine comes back much later."""
    touched: list[int] = []
    write = Visit.write

    def watched(it: Visit, address: int, content: bytes) -> None:
        if it.is_adrift:
            touched.append(address)
        write(it, address, content)

    monkeypatch.setattr(Visit, "write", watched)
    program = build(idle_bench, waiting, computing)
    ends = {True: 0, False: 0}
    for number in range(DEATHS):
        with other_holder(DIES, str(1 + number * STEPS // DEATHS)):
            ends[asyncio.run(two_visits(program.pid, live))] += 1
        lines = len(program.lines)
        program.wait_for("version 1", lines + 1)
    assert touched == []
    # a wait that is interrupted by the death itself may end: that of epoll_wait, and one that was made again before
    bad = [it for it in program.lines if it.startswith("bad")]
    assert [it for it in bad if not it.endswith(INTERRUPTED)] == []
    assert len(bad) <= ends[False]
    assert ends[False] > DEATHS // 3, ends
    assert asyncio.run(two_visits(program.pid, live))


def test_time_limits_of_waits_are_kept(idle_bench: Bench, live: str) -> None:
    """A wait goes on with the time that is left, however often it is interrupted by visits."""
    source = """
    #include <stdio.h>
    #include <time.h>
    int main(void)
    {
        struct timespec before, after, time = {2, 0};
        for (;;) {
            clock_gettime(CLOCK_MONOTONIC, &before);
            int result = nanosleep(&time, NULL);
            clock_gettime(CLOCK_MONOTONIC, &after);
            double taken = after.tv_sec - before.tv_sec + (after.tv_nsec - before.tv_nsec) / 1e9;
            printf("slept %d %.3f\\n", result, taken);
            fflush(stdout);
        }
    }
    """
    idle_bench.compile(source, "sleeps")
    program = idle_bench.run_plain("./sleeps")

    async def visit_until(lines: int) -> int:
        agent, count = Visited(program.pid, native_machine(), live, "", meets_at_once=True), 0
        await agent.greet()
        try:
            while len(program.lines) < lines:
                await agent.list_objects()
                count += 1
            return count
        finally:
            agent.disconnect()

    wait_until(lambda: program.lines, "the first sleep")
    assert asyncio.run(visit_until(3)) > 10
    for line in program.lines[1:3]:
        _slept, result, taken = line.split()
        assert result == "0" and 2.0 <= float(taken) < 3.0, line


def test_a_visit_ends_with_the_daemon(idle_bench: Bench, live: str) -> None:
    """A daemon that is killed while it holds a thread lets it go: the holder sees the end of its socket."""
    program = build(idle_bench, 0, 0)
    code = f"""
import asyncio, os, signal
from liveso.process.native import native_machine
from liveso.process.safe_visit import safe_visit
async def main():
    async with safe_visit({program.pid}, native_machine()):
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    for _each in range(5):
        lines = len(program.lines)
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
        program.wait_for("version 1", lines + 1)
    wait_until(lambda: "t" not in program.thread_states(), "no thread is held")
    assert noticed(program) == []


ATTEMPTS = 100


@pytest.mark.skipif(os.geteuid() != 0, reason="a real-time priority is for root")
def test_who_holds_threads_goes_before_others(idle_bench: Bench) -> None:
    """All of its threads do, and what it holds does not."""
    program = idle_bench.run("/bin/sleep", "60")

    async def policies() -> tuple[list[int], int]:
        async with talk(orders.VISIT, program.pid, program.pid, 5):
            assert holding._process
            threads = proc.thread_numbers(holding._process.pid)
            return [os.sched_getscheduler(it) for it in threads], os.sched_getscheduler(program.pid)

    own, visited = asyncio.run(policies())
    assert own == [os.SCHED_RR, os.SCHED_RR] and visited == os.SCHED_OTHER


def test_waits_go_on_where_not_all_threads_stop_in_time(idle_bench: Bench) -> None:
    """Those that stood already, and those that were told to."""
    program = build(idle_bench, 4, 2)

    async def attempt_all() -> int:
        late = 0
        for _each in range(ATTEMPTS):
            try:
                async with still(program.pid, 0, 0.0):
                    pass
            except NotYetStill:
                late += 1
        return late

    assert asyncio.run(attempt_all()) > ATTEMPTS // 10
    expect_that_waits_go_on(program)


def test_waits_go_on_where_the_thread_to_visit_does_not_stop_in_time(idle_bench: Bench) -> None:
    program = build(idle_bench, 4, 2)

    async def attempt_all() -> int:
        late = 0
        for number in range(ATTEMPTS):
            threads = proc.thread_numbers(program.pid)
            try:
                async with talk(orders.VISIT, program.pid, threads[number % len(threads)], 0.0) as (it, _told):
                    await it.ask(orders.END, orders.ENDED)
            except NotYetStill:
                late += 1
        return late

    assert asyncio.run(attempt_all()) > ATTEMPTS // 10
    expect_that_waits_go_on(program)


def test_waits_go_on_where_signals_come_meanwhile_that_nobody_handles(idle_bench: Bench) -> None:
    """The kernel does not even send these to a thread that nobody traces."""
    program = build(idle_bench, 0, 0)
    are_done = threading.Event()

    def send() -> None:
        while not are_done.is_set():
            os.kill(program.pid, signal.SIGURG)

    async def freeze_all() -> None:
        for _each in range(ATTEMPTS):
            async with still(program.pid, 0, 1.0):
                pass
            await asyncio.sleep(0.005)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        asyncio.run(freeze_all())
    finally:
        are_done.set()
        sender.join()
    expect_that_waits_go_on(program)


MREMAP = {"x86_64": 25, "aarch64": 216, "riscv64": 216}[os.uname().machine]
COUNTS = """
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
long count(void), sum(void);
static volatile int ends;
static void *run(void *own)
{
    for (; !ends; usleep(100))
        count(), ++*(long *)own;
    return own;
}
int main(void)
{
    long own[4] = {0};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, run, &own[i]);
    puts("ready");
    fflush(stdout);
    getchar();
    ends = 1;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    printf("lost %ld\\n", own[0] + own[1] + own[2] + own[3] - sum());
}
"""


def test_threads_stand_until_all_mappings_have_moved(idle_bench: Bench, live: str) -> None:
    """However long that takes: what they wrote meanwhile would be lost."""
    source = "static long n; long count(void) { return __atomic_add_fetch(&n, 1, 5); } long sum(void) { return n; }"
    library = idle_bench.compile(source, "libcount.so", "-shared", "-fPIC")
    copy = idle_bench.folder / "copy.so"
    shutil.copy(library, copy)
    idle_bench.compile(COUNTS, "program", "-pthread", "-L.", "-lcount", f"-Wl,-rpath,{idle_bench.folder}")
    program = idle_bench.run_plain("./program")
    program.wait_for("ready")

    async def carry() -> None:
        agent = Visited(program.pid, native_machine(), live, "", meets_at_once=True)
        await agent.greet()
        file = next(it.file for it in memory_map.mappings(program.pid, program.pid) if it.file.path == str(library))
        await agent.carry(program.pid, str(copy), lambda: mappings_of(program.pid, program.pid, file), 0.25)
        agent.disconnect()

    with other_holder(IS_LATE, str(MREMAP)):
        asyncio.run(carry())
    assert str(copy) in {it.file.path for it in memory_map.mappings(program.pid, program.pid)}
    program.ask("")
    assert program.wait_for("lost") == "lost 0"
