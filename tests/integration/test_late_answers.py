"""Targets that stand still while a request is under way, for longer than the daemon waits for its answer."""

import asyncio
import os
import random
import signal
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from liveso.errors import TargetGone
from liveso.process import resident
from liveso.process.agent import AgentSilent, TakenBack, WordChanged
from liveso.process.protocol import HALF, SPAN, WORD, Kind, Message, Transaction, decode
from liveso.process.resident import Resident
from tests.harness import Bench, Program, wait_until

TARGETS, ROUNDS, LEAST_GIVEN_UP = 8, 9, 40
IMPATIENT_DAEMON = (
    "import liveso.process.resident as resident; resident.ANSWER_LIMIT = 0.3; from liveso.cli import main; main()"
)

LIBRARY = "int version(void) { return VERSION; }"
PROGRAM = """
#include <stdint.h>
#include <stdio.h>
int version(void);
uint64_t words[3] = {1, 2, 3};
int main(void)
{
    char line[9];
    printf("words at %p\\n", (void *)words);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        printf("version %d\\n", version());
        fflush(stdout);
    }
    return 0;
}
"""


def build(bench: Bench, versions: int) -> None:
    for version in range(1, versions + 1):
        flags = ("-O2", "-fPIC", "-shared", f"-DVERSION={version}", "-Wl,-soname,libtold.so")
        bench.compile(LIBRARY, f"libtold.{version}.so", *flags)
    bench.link("libtold.1.so", "libtold.so")
    bench.compile(PROGRAM, "program", "-O2", "-no-pie", "-L.", "-ltold", "-Wl,-rpath,$ORIGIN")


def answer(program: Program) -> str:
    before = len(program.lines)
    program.ask("")
    return program.wait_for("version", before)


def count(program: Program, text: str) -> int:
    return sum(text in line for line in program.error_lines)


def wait_for_more(program: Program, text: str, before: int) -> None:
    """Wait until `program` has said it more than `before` times."""
    wait_until(lambda: count(program, text) > before, f"more of {text!r}")


def test_targets_that_are_stopped_during_updates_get_all_later_versions(idle_bench: Bench) -> None:
    """Each is stopped at some moment of each update, and goes on when the daemon has given it up."""
    build(idle_bench, ROUNDS + 2)
    daemon = idle_bench.run_plain(sys.executable, "-c", IMPATIENT_DAEMON, "daemon")
    idle_bench.daemon = daemon
    daemon.wait_for_error("event=started")
    programs = [idle_bench.run("./program", LIVE_MODE="resident") for _ in range(TARGETS)]
    for program in programs:
        idle_bench.library(program.pid, "libtold.so")
    chance = random.Random(1)
    given_up = 0
    for version in range(2, ROUNDS + 2):
        before = count(daemon, "event=gone")
        idle_bench.link(f"libtold.{version}.so", "libtold.so")
        for program in chance.sample(programs, TARGETS):
            time.sleep(chance.uniform(0, 0.004))
            os.kill(program.pid, signal.SIGSTOP)
        wait_for_more(daemon, "event=gone", before)
        given_up += count(daemon, "event=gone") - before
        for program in programs:
            os.kill(program.pid, signal.SIGCONT)
        idle_bench.wait_for_version(f"libtold.{version}.so", "libtold.so", *(it.pid for it in programs))
        assert {answer(it) for it in programs} == {f"version {version}"}
    idle_bench.update(f"libtold.{ROUNDS + 2}.so", "libtold.so", *(it.pid for it in programs))
    assert {answer(it) for it in programs} == {f"version {ROUNDS + 2}"}
    assert given_up >= LEAST_GIVEN_UP
    assert [it.end() for it in programs] == [0] * TARGETS


def _process_of(connection: socket.socket) -> int:
    pid: int = struct.unpack("=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return pid


@asynccontextmanager
async def agents(bench: Bench) -> AsyncIterator[asyncio.Queue[Resident]]:
    """The agents that connect, with nothing of the daemon but this."""
    bench.runtime.mkdir(exist_ok=True)
    path = Path(bench.environment["LIVE_SOCKET"])
    found: asyncio.Queue[Resident] = asyncio.Queue()
    tasks = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)

        async def accept() -> None:
            while True:
                connection, _address = await asyncio.get_running_loop().sock_accept(listener)
                connection.setblocking(False)
                it = Resident(connection, _process_of(connection))
                tasks.append(asyncio.create_task(it.receive_until_gone()))
                found.put_nowait(it)

        tasks.append(asyncio.create_task(accept()))
        try:
            yield found
        finally:
            for task in tasks:
                task.cancel()


def stop(program: Program, thread: int) -> None:
    os.kill(program.pid, signal.SIGSTOP)
    stat = Path(f"/proc/{program.pid}/task/{thread}/stat")
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "the agent's thread stopped")


def transaction(address: int, changes: list[tuple[int, int]], record: bytes) -> Transaction:
    words = np.array([(address + 8 * index, *change) for index, change in enumerate(changes)], WORD)
    return Transaction(np.zeros(0, SPAN), words, np.zeros(0, HALF), record)


def test_after_silence_the_next_connection_recalls_what_was_done(
    idle_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stopped agent carries out what it had begun or not, and its record tells which."""
    build(idle_bench, 1)

    async def run() -> None:
        async with agents(idle_bench) as connected:
            program = idle_bench.run("./program", LIVE_MODE="resident")
            it = await connected.get()
            thread = (await it.greet()).thread
            address = int((await asyncio.to_thread(program.wait_for, "words at")).split()[-1], 16)
            objects = await it.list_objects()
            await it.commit(transaction(address, [(1, 10)], b"first"), objects)
            monkeypatch.setattr(resident, "ANSWER_LIMIT", 0.2)
            stop(program, thread)
            both = await asyncio.gather(
                it.commit(transaction(address, [(10, 20)], b"second"), objects),
                it.list_objects(),
                return_exceptions=True,
            )
            assert isinstance(both[0], AgentSilent) and isinstance(both[1], TargetGone)
            with pytest.raises(TargetGone):
                await it.recall()
            monkeypatch.setattr(resident, "ANSWER_LIMIT", 60.0)
            os.kill(program.pid, signal.SIGCONT)
            it = await asyncio.wait_for(connected.get(), 60)
            await it.greet()
            record, (word,) = await it.recall(), await it.read([(address, 8)])
            assert (record, int.from_bytes(word, "little")) in ((b"first", 10), (b"second", 20))
            assert await asyncio.to_thread(answer, program) == "version 1"

    asyncio.run(run())


def test_a_late_answer_is_nobodys(idle_bench: Bench) -> None:
    """A request that nobody waits for any more is answered before the next one."""
    build(idle_bench, 1)

    async def run() -> None:
        async with agents(idle_bench) as connected:
            program = idle_bench.run("./program", LIVE_MODE="resident")
            it = await connected.get()
            thread = (await it.greet()).thread
            address = int((await asyncio.to_thread(program.wait_for, "words at")).split()[-1], 16)
            for _ in range(20):
                stop(program, thread)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await it.list_objects()
                os.kill(program.pid, signal.SIGCONT)
                assert await it.read([(address, 8)]) == [(1).to_bytes(8, "little")]
                assert await it.recall() == b""

    asyncio.run(run())


def test_an_answer_with_another_number_is_dropped() -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            ours.setblocking(False)
            it = Resident(ours, os.getpid())
            receiving = asyncio.create_task(it.receive_until_gone())
            asking = asyncio.create_task(it.close(1))
            loop = asyncio.get_running_loop()
            theirs.setblocking(False)
            request = decode(await loop.sock_recv(theirs, 16384))
            for number in (request.number - 1, request.number + 1, 0):
                theirs.send(Message(Kind.CLOSE, 5, number=number).encode())
            theirs.send(Message(Kind.CLOSE, number=request.number).encode())
            await asyncio.wait_for(asking, 60)
            theirs.close()
            await receiving
            with pytest.raises(TargetGone):
                await it.close(1)

    asyncio.run(run())


def test_words_that_were_visible_for_a_moment_are_told_from_those_that_never_were(idle_bench: Bench) -> None:
    """A first word that is changed away from what a later one expects: it was right when it was checked."""
    build(idle_bench, 1)

    async def run() -> None:
        async with agents(idle_bench) as connected:
            program = idle_bench.run("./program", LIVE_MODE="resident")
            it = await connected.get()
            await it.greet()
            address = int((await asyncio.to_thread(program.wait_for, "words at")).split()[-1], 16)
            objects = await it.list_objects()
            with pytest.raises(WordChanged) as unseen:
                await it.commit(transaction(address, [(1, 10), (7, 20)], b"never"), objects)
            assert not isinstance(unseen.value, TakenBack)
            again = transaction(address, [(1, 10), (2, 20)], b"never")
            words = np.concatenate([again.words, np.array([(address, 1, 30)], WORD)])
            with pytest.raises(TakenBack):
                await it.commit(Transaction(again.spans, words, again.halves, again.record), objects)
            assert await it.recall() == b""
            assert await it.read([(address, 16)]) == [(1).to_bytes(8, "little") + (2).to_bytes(8, "little")]

    asyncio.run(run())


def test_pages_that_stay_writable_do_not_make_a_commit_undone(idle_bench: Bench) -> None:
    build(idle_bench, 1)

    async def run() -> None:
        async with agents(idle_bench) as connected:
            program = idle_bench.run("./program", LIVE_MODE="resident")
            it = await connected.get()
            await it.greet()
            address = int((await asyncio.to_thread(program.wait_for, "words at")).split()[-1], 16)
            objects = await it.list_objects()
            no_protection = 0x7000_0000
            plan = transaction(address, [(1, 10)], b"in force")
            spans = np.array([(address & ~4095, 4096, no_protection, 0)], SPAN)
            assert not await it.commit(Transaction(spans, plan.words, plan.halves, plan.record), objects)
            assert await it.recall() == b"in force"
            assert await it.read([(address, 8)]) == [(10).to_bytes(8, "little")]

    asyncio.run(run())
