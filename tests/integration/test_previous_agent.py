"""Processes that have run for long: their live.so is the one of the previous protocol, built from its own sources."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from liveso.process.protocol import Kind, Message
from tests.harness import Bench, Program, wait_until

SOURCES = Path(__file__).parent / "programs/protocol_2"

LIBRARY = "static int calls; int version(void) { calls++; return VERSION; } int count(void) { return calls; }"
PROGRAM = """
#include <stdio.h>
int version(void), count(void);
int main(void)
{
    char line[9];
    while (fgets(line, sizeof line, stdin)) {
        printf("version %d", version());
        printf(", calls %d\\n", count());
        fflush(stdout);
    }
    return 0;
}
"""


def previous_agent(bench: Bench) -> Path:
    sources = [str(file) for file in sorted(SOURCES.glob("*.c"))]
    flags = ("-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-ftls-model=initial-exec", "-pthread")
    output = bench.folder / "previous/live.so"
    output.parent.mkdir()
    subprocess.run(["gcc", *flags, '-DLIVE_DAEMON_COMMAND="none"', "-o", str(output), *sources], check=True)
    return output


def start(bench: Bench) -> Program:
    for version in (1, 2, 3):
        flags = ("-O2", "-fPIC", "-shared", f"-DVERSION={version}", "-Wl,-soname,libtold.so")
        bench.compile(LIBRARY, f"libtold.{version}.so", *flags)
    bench.link("libtold.1.so", "libtold.so")
    bench.compile(PROGRAM, "program", "-O2", "-L.", "-ltold", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program", LD_PRELOAD=str(previous_agent(bench)))
    bench.library(program.pid, "libtold.so")
    return program


def answer(program: Program) -> str:
    before = len(program.lines)
    program.ask("")
    return program.wait_for("version", before)


def test_it_is_updated_back_and_forth_also_by_a_later_daemon(bench: Bench) -> None:
    program = start(bench)
    assert answer(program) == "version 1, calls 1"
    bench.update("libtold.2.so", "libtold.so", program.pid)
    assert answer(program) == "version 2, calls 2"
    bench.kill_daemon()
    bench.start_daemon()
    for calls, version in ((3, 1), (4, 3), (5, 2)):
        bench.update(f"libtold.{version}.so", "libtold.so", program.pid)
        assert answer(program) == f"version {version}, calls {calls}"
    assert program.end() == 0


def test_its_library_may_be_overwritten_in_place(bench: Bench) -> None:
    program = start(bench)
    os.unlink(bench.folder / "libtold.so")
    shutil.copy(bench.folder / "libtold.2.so", bench.folder / "libtold.so")
    bench.wait_for_version("libtold.2.so", "libtold.so", program.pid)
    later = bench.run("./program", LD_PRELOAD=str(bench.folder / "previous/live.so"))
    assert bench.library(later.pid, "libtold.so")["unprotected"] == ""
    subprocess.run(["cp", "libtold.3.so", "libtold.so"], check=True, cwd=bench.folder)
    bench.wait_for_version("libtold.3.so", "libtold.so", program.pid, later.pid)
    assert answer(program) == "version 3, calls 1" and answer(later) == "version 3, calls 1"
    assert program.end() == later.end() == 0


def test_its_late_answers_are_nobodys(bench: Bench) -> None:
    """It gives back what was unused in its protocol: the number."""
    program = start(bench)
    for version in (2, 3, 1):
        os.kill(program.pid, signal.SIGSTOP)
        bench.link(f"libtold.{version}.so", "libtold.so")
        wait_until(lambda: Path(f"/proc/{program.pid}/stat").read_text().split()[2] == "T", "a stop")
        os.kill(program.pid, signal.SIGCONT)
        bench.wait_for_version(f"libtold.{version}.so", "libtold.so", program.pid)
    assert program.end() == 0


CONNECTIONS = 12


def test_a_daemon_that_hangs_up_at_once_is_asked_more_and_more_seldom(idle_bench: Bench) -> None:
    idle_bench.runtime.mkdir()
    idle_bench.compile("#include <unistd.h>\nint main(void) { for (;;) pause(); }", "program")

    async def run() -> list[float]:
        loop, times = asyncio.get_running_loop(), []
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(idle_bench.environment["LIVE_SOCKET"])
            listener.listen()
            listener.setblocking(False)
            idle_bench.run("./program", LIVE_MODE="resident")
            for _ in range(CONNECTIONS):
                connection, _address = await loop.sock_accept(listener)
                times.append(loop.time())
                connection.close()
        return times

    times = asyncio.run(run())
    pauses = [later - earlier for earlier, later in pairwise(times)]
    least = [0.005 * 2 ** (number // 2) for number in range(1, CONNECTIONS)]
    assert all(pause >= it for pause, it in zip(pauses, least, strict=True)), pauses
    assert idle_bench.programs[0].process.poll() is None


@pytest.mark.parametrize("spoken", [0, 1, 99])
def test_a_protocol_that_the_daemon_does_not_speak_is_named(bench: Bench, spoken: int) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as agent:
        agent.connect(bench.environment["LIVE_SOCKET"])
        agent.send(Message(Kind.HELLO, argument=(spoken, os.getpid(), 0, 0)).encode())
        assert bench.daemon
        line = bench.daemon.wait_for_error(f"speaks version {spoken} of the protocol")
        assert "event=not-served" in line and "start the program with the live.so of this installation" in line
