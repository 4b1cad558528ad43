"""Threads that are held still: they get each signal that comes meanwhile, and all of them stand."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from liveso.errors import TargetError
from liveso.holder.registers import SEIZE, ptrace
from liveso.process.freeze import still
from liveso.process.proc import position, positions
from tests.harness import LIMIT, Bench, Program, wait_until

FREEZES, DEATHS = 150, 30
STANDING = {"t", "Z", "X"}  # proc(5): stopped by the tracer, or ended

PROGRAM = """
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
static atomic_long signals, made;
static void on_signal(int number) { (void)number; signals++; }
static void *end_at_once(void *unused) { made++; return unused; }
static void *make_threads(void *unused)
{
    pthread_t thread;
    for (;;)
        if (pthread_create(&thread, NULL, end_at_once, NULL) == 0)
            pthread_join(thread, NULL);
    return unused;
}
static void *spin(void *unused)
{
    for (volatile long i = 0;; i++)
        ;
    return unused;
}
static void *wait_for_signals(void *unused)
{
    for (;;)
        pause();
    return unused;
}
int main(void)
{
    pthread_t thread;
    char character;
    signal(SIGRTMIN, on_signal);
    for (int i = 0; i < 3; i++)
        pthread_create(&thread, NULL, wait_for_signals, NULL);
    pthread_create(&thread, NULL, make_threads, NULL);
    pthread_create(&thread, NULL, spin, NULL);
    puts("ready");
    fflush(stdout);
    while (read(0, &character, 1) == 1)
        printf("signals %ld made %ld\\n", signals, made), fflush(stdout);
    return 0;
}
"""


@pytest.fixture
def program(idle_bench: Bench) -> Program:
    idle_bench.compile(PROGRAM, "program", "-O2", "-pthread")
    program = idle_bench.run_plain("./program")
    program.wait_for("ready")
    return program


def numbers(program: Program) -> tuple[int, int]:
    before = len(program.lines)
    program.ask("x")
    words = program.wait_for("signals", before).split()
    return int(words[1]), int(words[3])


def expect_signals(program: Program, count: int) -> None:
    """A handler runs in any of the threads, and some time after kill(2) has returned."""
    wait_until(lambda: numbers(program)[0] >= count, f"{count} signals")
    assert numbers(program)[0] == count


@contextmanager
def signals(program: Program) -> Iterator[list[int]]:
    """Send signals that are queued, one after another, inside the block, and count them."""
    sent = [0]
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            os.kill(program.pid, signal.SIGRTMIN)
            sent[0] += 1
            stop.wait(0.0002)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield sent
    finally:
        stop.set()
        sender.join()


ON_COMMAND = """
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
volatile int may_wait;
static void on_signal(int number) { (void)number; }
int main(void)
{
    signal(SIGRTMIN, on_signal);
    printf("ready %p\\n", (void *)&may_wait);
    fflush(stdout);
    while (!may_wait)
        ;
    pause();
    puts("waited");
    return 0;
}
"""


def test_a_step_that_is_a_system_call_which_waits_is_over_with_the_freeze(idle_bench: Bench) -> None:
    idle_bench.compile(ON_COMMAND, "program", "-O2", "-static")
    program = idle_bench.run_plain("./program")
    flag = int(program.wait_for("ready").split()[1], 16)

    async def step_until_it_waits() -> int:
        async with still(program.pid, 0, 10) as freeze:
            with Path(f"/proc/{program.pid}/mem").open("r+b", buffering=0) as memory:
                memory.seek(flag)
                memory.write(b"\1")
            before, unmoved = position(program.pid, program.pid), 0
            for count in range(500):
                await freeze.step(program.pid)
                after = position(program.pid, program.pid)
                unmoved = unmoved + 1 if after == before else 0
                if after is None or after.is_in_call or unmoved == 20:  # where it makes no such step, it stays there
                    return count
                before = after
        return -1

    assert asyncio.run(step_until_it_waits()) > 3
    wait_until(lambda: program.thread_states() <= {"S"}, "a thread that waits")
    os.kill(program.pid, signal.SIGRTMIN)
    program.wait_for("waited")
    assert program.end() == 0


def test_all_threads_stand_still_and_no_signal_is_lost(program: Program) -> None:
    stepped = set()

    async def freeze() -> None:
        count, end = 0, time.monotonic() + LIMIT
        while count < FREEZES or (True not in stepped and time.monotonic() < end):  # one with a signal makes no step
            count += 1
            async with still(program.pid, 0, 10) as freeze:
                assert program.thread_states() <= STANDING
                for it in positions(program.pid, 0):
                    if not it.is_in_call:
                        await freeze.step(it.thread)
                        stepped.add(position(program.pid, it.thread) != it)
                assert program.thread_states() <= STANDING
            await asyncio.sleep(0.001)

    with signals(program) as sent:
        asyncio.run(freeze())
    assert sent[0] > FREEZES and True in stepped
    expect_signals(program, sent[0])
    before = numbers(program)[1]
    wait_until(lambda: numbers(program)[1] > before, "further threads")
    wait_until(lambda: "t" not in program.thread_states(), "threads that run again")
    assert program.end() == 0


def test_what_is_traced_already_cannot_be_held(program: Program) -> None:
    async def freeze() -> None:
        async with still(program.pid, 0, 10):
            pass

    assert ptrace(SEIZE, program.pid)
    with pytest.raises(TargetError, match=f"process {os.getpid()} traces it already"):
        asyncio.run(freeze())
    wait_until(lambda: program.thread_states() <= {"R", "S", "D", "Z", "X"}, "threads that go on")


def test_threads_go_on_when_their_holder_dies(program: Program) -> None:
    """Also with a signal that was on its way to one of them when that was stopped."""
    with signals(program) as sent:
        for _ in range(DEATHS):
            reader, writer = os.pipe()
            holder = os.fork()
            if holder == 0:
                asyncio.run(hold_for_ever(program, writer))
            assert os.read(reader, 1) == b"."
            assert program.thread_states() <= STANDING
            os.kill(holder, signal.SIGKILL)
            os.waitpid(holder, 0)
            os.close(reader)
            os.close(writer)
            wait_until(lambda: "t" not in program.thread_states(), "threads that go on")
    expect_signals(program, sent[0])
    assert "t" not in program.thread_states() and program.end() == 0


async def hold_for_ever(program: Program, writer: int) -> None:
    async with still(program.pid, 0, 10):
        os.write(writer, b".")
        await asyncio.sleep(1000)


WAITERS = """
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>
static atomic_long interrupted, signals;
static void on_signal(int number) { (void)number; signals++; }
static void *wait_for_events(void *unused)
{
    int events = epoll_create1(0);
    struct epoll_event event;
    for (;;)
        interrupted += epoll_wait(events, &event, 1, -1) < 0 && errno == EINTR;
    return unused;
}
static void *wait_for_semaphore(void *unused)
{
    int set = semget(IPC_PRIVATE, 1, 0600);
    struct sembuf down = {0, -1, 0};
    for (;;)
        interrupted += semop(set, &down, 1) < 0 && errno == EINTR;
    return unused;
}
static void *sleep_long(void *unused)
{
    struct timespec day = {86400, 0};
    for (;;)
        interrupted += nanosleep(&day, NULL) < 0 && errno == EINTR;
    return unused;
}
int main(void)
{
    pthread_t thread;
    sigset_t all;
    char character;
    signal(SIGRTMIN, on_signal);
    pthread_create(&thread, NULL, wait_for_events, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_create(&thread, NULL, wait_for_semaphore, NULL);
    pthread_create(&thread, NULL, sleep_long, NULL);
    puts("ready");
    fflush(stdout);
    while (read(0, &character, 1) == 1)
        printf("signals %ld made %ld\\n", signals, interrupted), fflush(stdout);
    return 0;
}
"""


def test_no_system_call_ends_because_its_thread_was_held_and_signals_end_it_still(idle_bench: Bench) -> None:
    idle_bench.compile(WAITERS, "waiters", "-O2", "-pthread")
    program = idle_bench.run_plain("./waiters")
    program.wait_for("ready")

    async def freeze() -> None:
        for _ in range(FREEZES):
            async with still(program.pid, 0, 10):
                assert program.thread_states() <= STANDING
            await asyncio.sleep(0.001)

    asyncio.run(freeze())
    assert numbers(program) == (0, 0)
    for count in (1, 2, 3):
        os.kill(program.pid, signal.SIGRTMIN)  # only the thread that waits for events takes it
        expect_signals(program, count)
        wait_until(lambda: numbers(program)[1] == count, "calls that a signal ended")  # noqa: B023
        asyncio.run(freeze())
    assert numbers(program) == (3, 3)
    assert program.end() == 0
