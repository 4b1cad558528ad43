"""Where threads of real processes are found, and which of them could be made to call dlopen there."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from liveso.process.safe_point import unsafe
from liveso.process.unwind import Frame
from tests.harness import Program, wait_until
from tests.stopped import StoppedThread, stopped

PROGRAMS = Path(__file__).parent / "programs"
BUILDS = [
    (compiler, level, pointer)
    for compiler in ("gcc", "clang")
    for level in ("-O0", "-O2")
    for pointer in ("-fomit-frame-pointer", "-fno-omit-frame-pointer")
]
SAFE = [
    *("epoll_wait", "poll", "ppoll", "select", "read", "sleep", "sigwait", "waitpid", "syscall", "spin", "stdio"),
    *("pthread_cond_wait", "pthread_mutex_lock", "sem_wait", "pthread_join"),
]
CALLED_BACK = {
    "qsort": "called back by qsort",
    "dl_iterate_phdr": "called back by dl_iterate_phdr",
    "fopencookie": "called back by f?getc",
    "pthread_once": "called back by",
    "fork": "called back by fork",
    "exit": "called back by exit",
    "return": "called back by exit",
    "makecontext": "not known to its oldest frame: libc.so.6 has no unwind entry",
}


def build(folder: Path, *options: str, compiler: str = "gcc", source: str = "stands.c") -> Path:
    made = folder / f"{source}{len(list(folder.iterdir()))}"
    subprocess.run([compiler, "-w", "-o", made, PROGRAMS / source, *options], check=True)
    return made


@contextmanager
def standing(folder: Path, program: Path, *arguments: str, **environment: str) -> Iterator[Program]:
    """The program, once it is where it is to stand."""
    running = Program.start([program, *arguments], {"PATH": os.environ["PATH"], **environment}, folder)
    try:
        running.wait_for("ready")
        yield running
    finally:
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        for pid in (running.pid, *map(int, children)):
            os.kill(pid, signal.SIGKILL)
        running.process.wait()


def judged(pid: int, thread: int = 0, *, is_in: int | None = None) -> str:
    """What is said of a thread, once it sleeps or, where it never does, has come to its loop."""

    def look() -> list[str]:
        with stopped(pid, thread) as it:
            return [it.unsafe()] if is_in is None or it.call == is_in else []

    found: list[str] = wait_until(look, "the thread is where it is to stand")
    return found[0]


def settled(pid: int, expected: str) -> str:
    """What is said of the first thread: what is `expected`, if it is so after a while, since it says that it is ready
    before it stands."""
    said: list[str] = []

    def look() -> bool:
        said.append(judged(pid))
        return bool(re.search(expected, said[-1])) if expected else not said[-1]

    wait_until(look, lambda: f"{expected!r} and not {said[-1]!r}", 20)
    return said[-1]


@pytest.mark.parametrize("build_of", BUILDS, ids=" ".join)
def test_a_thread_that_waits_or_computes_is_at_a_safe_point(tmp_path: Path, build_of: tuple[str, str, str]) -> None:
    program = build(tmp_path, *build_of[1:], compiler=build_of[0])
    for place in SAFE:
        with standing(tmp_path, program, place) as running:
            settled(running.pid, "")


@pytest.mark.parametrize("build_of", BUILDS, ids=" ".join)
def test_what_libc_calls_back_is_not_at_a_safe_point(tmp_path: Path, build_of: tuple[str, str, str]) -> None:
    program = build(tmp_path, *build_of[1:], compiler=build_of[0])
    for place, reason in CALLED_BACK.items():
        with standing(tmp_path, program, place) as running:
            settled(running.pid, reason)
            assert judged(running.pid)


def test_what_the_dynamic_linker_calls_is_not_at_a_safe_point(tmp_path: Path) -> None:
    shared = ("-shared", "-fPIC")
    constructor = build(tmp_path, *shared, "-DCONSTRUCTOR", source="stands_library.c")
    with standing(tmp_path, build(tmp_path), "constructor", str(constructor)) as running:
        assert re.match(r"inside \S+ of ld-linux-x86-64.so.2", settled(running.pid, "the dynamic linker"))
    lazy = build(tmp_path, *shared, "-DLAZY", source="stands_library.c")
    program = build(tmp_path, "-DLAZY", "-Wl,-z,lazy", str(lazy))
    with standing(tmp_path, program, "lazy") as running:
        settled(running.pid, "the dynamic linker")


def test_an_allocator_other_than_libcs_is_not_entered_again(tmp_path: Path) -> None:
    library = build(tmp_path, "-shared", "-fPIC", "-DALLOCATOR", source="stands_library.c")
    with standing(tmp_path, build(tmp_path), "library", str(library)) as running:
        assert library.name in settled(running.pid, "an object with an allocator of its own")
    without = build(tmp_path, "-shared", "-fPIC", source="stands_library.c")
    with standing(tmp_path, build(tmp_path), "library", str(without)) as running:
        settled(running.pid, "")


def test_a_program_with_an_allocator_is_entered_where_it_waits_for_events(tmp_path: Path) -> None:
    program = build(tmp_path, "-DOWN_MALLOC", "-rdynamic")
    for place in ("epoll_wait", "poll", "waitpid"):
        with standing(tmp_path, program, place) as running:
            settled(running.pid, "")
    for place in ("spin", "sleep", "read", "pthread_mutex_lock", "syscall"):
        with standing(tmp_path, program, place) as running:
            settled(running.pid, "a program with an allocator of its own")


@pytest.mark.parametrize("place", ["handler", "handler-in-poll", "handler-on-other-stack"])
def test_a_signal_handler_that_interrupted_a_safe_point_is_at_one(tmp_path: Path, place: str) -> None:
    with standing(tmp_path, build(tmp_path), place) as running:
        settled(running.pid, "")
        os.kill(running.pid, signal.SIGUSR1)
        wait_until(lambda: running.lines.count("ready\n") + running.lines.count("ready") > 1, "the handler runs")
        settled(running.pid, "")
        with stopped(running.pid) as it:
            assert [frame.is_signal_frame for frame in it.stack().frames].count(True) == 1


@pytest.mark.parametrize("function", ["kill", "sigprocmask", "pthread_sigmask"])
def test_a_signal_handler_is_at_a_safe_point_in_the_call_that_let_its_signal_come(
    tmp_path: Path, function: str
) -> None:
    """A process that a handler made, and which never returns from it, is there for good."""
    with standing(tmp_path, build(tmp_path, "-O2"), f"handler-in-{function}") as running:
        settled(running.pid, "")
        with stopped(running.pid) as it:
            assert [frame.is_signal_frame for frame in it.stack().frames].count(True) == 1


def test_a_signal_handler_that_interrupted_the_allocator_is_not_at_a_safe_point(tmp_path: Path) -> None:
    with standing(tmp_path, build(tmp_path, "-O2"), "handler-in-malloc") as running:
        assert re.search(
            "inside (malloc|free|cfree) of libc.so.6", settled(running.pid, ", which a signal interrupted")
        )


@pytest.mark.parametrize("place", ["pthread_join", "sem_wait", "pthread_cond_wait", "pthread_mutex_lock"])
def test_what_waits_for_a_lock_is_safe_in_that_system_call_only(tmp_path: Path, place: str) -> None:
    """pthread_join returns the stack of the other thread (munmap) with the lock on all stacks held."""
    with standing(tmp_path, build(tmp_path), place) as running:
        settled(running.pid, "")
        with stopped(running.pid) as it:
            assert "in another system call" in unsafe(it.stack(), 11, it.objects, it.registers)
            assert "between system calls" in unsafe(it.stack(), None, it.objects, it.registers)


def test_a_thread_that_ends_is_not_at_a_safe_point(tmp_path: Path) -> None:
    with standing(tmp_path, build(tmp_path), "key") as running:
        others = [int(it) for it in os.listdir(f"/proc/{running.pid}/task") if int(it) != running.pid]
        assert "called back by" in judged(running.pid, others[0], is_in=34)  # pause


ALLOCATING = r"""
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
volatile long inside[4];
static void *work(void *number)
{
    void *kept[64] = {0};
    unsigned seed = 1;
    for (;;) {
        seed = seed * 1103515245 + 12345;
        unsigned at = seed >> 8 & 63, size = seed >> 16 & 0x7fff;
        inside[(long)number] = 1;
        free(kept[at]);
        kept[at] = malloc(size);
        inside[(long)number] = 0;
    }
    return NULL;
}
int main(void)
{
    pthread_t thread;
    for (long i = 1; i < 4; i++)
        pthread_create(&thread, NULL, work, (void *)i);
    if (write(1, "ready\n", 6) == 6)
        work(0);
}
"""


@pytest.mark.parametrize("arenas", ["1", "8"])
def test_a_thread_inside_malloc_is_never_said_to_be_at_a_safe_point(tmp_path: Path, arenas: str) -> None:
    """The program says when it may be inside; where the instruction that it stands at is not its own, it is."""
    (tmp_path / "allocating.c").write_text(ALLOCATING)
    program = tmp_path / "allocating"
    subprocess.run(["gcc", "-O2", "-no-pie", "-o", program, tmp_path / "allocating.c"], check=True)
    symbols = subprocess.check_output(["nm", program], text=True)
    inside = int(next(line.split()[0] for line in symbols.splitlines() if line.endswith(" inside")), 16)
    counts = {"inside": 0, "safe": 0}
    with standing(tmp_path, program, MALLOC_ARENA_MAX=arenas) as running:
        threads = sorted(int(it) for it in os.listdir(f"/proc/{running.pid}/task"))
        end = time.monotonic() + 60
        while (counts["inside"] < 150 or counts["safe"] < 5) and time.monotonic() < end:
            for number, thread in enumerate(threads):
                with stopped(running.pid, thread) as it:
                    is_inside = _is_in(it, "libc.so.6") and it.words(inside, 4)[number] == 1
                    reason = it.unsafe()
                assert not (is_inside and not reason)
                assert "not known" not in reason
                counts["inside"] += is_inside
                counts["safe"] += not reason
    assert counts["inside"] >= 150 and counts["safe"] >= 5


def _is_in(it: StoppedThread, name: str) -> bool:
    """Whether the instruction at which it stands is of an object, told by nothing but its mappings."""
    pc = int.from_bytes(it.registers[128:136], "little")
    lines = Path(f"/proc/{it.pid}/task/{it.thread}/maps").read_text().splitlines()
    ranges = (line.split()[0].split("-") for line in lines if line.endswith(name))
    return any(int(start, 16) <= pc < int(end, 16) for start, end in ranges)


THROWING = r"""
#include <stdexcept>
#include <string>
#include <unistd.h>
struct Guard { ~Guard() { asm volatile(""); } };
__attribute__((noinline)) static void deep(int levels)
{
    Guard guard;
    if (levels == 0)
        throw std::runtime_error("a message that is too long for the string itself");
    deep(levels - 1);
}
int main()
{
    if (write(1, "ready\n", 6) == 6)
        for (;;)
            try { deep(8); } catch (const std::exception &) {}
}
"""


def test_stacks_are_complete_while_exceptions_are_thrown(tmp_path: Path) -> None:
    """But for the few instructions in which libgcc puts another stack in place."""
    (tmp_path / "throwing.cc").write_text(THROWING)
    program = tmp_path / "throwing"
    subprocess.run(["g++", "-O2", "-o", program, tmp_path / "throwing.cc"], check=True)
    said: list[str] = []
    with standing(tmp_path, program) as running:
        for _round in range(200):
            _let_run(running.pid)
            with stopped(running.pid) as it:
                stack, reason = it.stack(), it.unsafe()
                is_oldest = bool(stack.frames) and stack.frames[-1].image.name == program.name
            assert is_oldest or not stack.is_complete
            assert reason or not _reaches_linker(stack.frames)
            assert stack.is_complete or stack.frames[0].image.name.startswith("libgcc_s.")
            said.append(reason)
    assert said.count("") >= 10
    assert sum("not known" in it for it in said) <= 10


def _let_run(pid: int) -> None:
    """Wait until it has run on: on a busy machine it is stopped again at the next instruction else."""
    ran = Path(f"/proc/{pid}/schedstat").read_text().split()[0]
    wait_until(lambda: Path(f"/proc/{pid}/schedstat").read_text().split()[0] != ran, "it does not run")


def _reaches_linker(frames: tuple[Frame, ...]) -> bool:
    return any(it.image.name.startswith("ld-") for it in frames)


@pytest.mark.parametrize("place", ["epoll_wait", "pthread_cond_wait", "qsort", "handler-in-malloc", "spin", "exit"])
def test_frames_are_those_of_gdb(tmp_path: Path, place: str) -> None:
    with standing(tmp_path, build(tmp_path, "-O2"), place) as running:
        settled(running.pid, "" if place in SAFE else ".")
        os.kill(running.pid, signal.SIGSTOP)
        wait_until(lambda: " T " in Path(f"/proc/{running.pid}/stat").read_text(), "it stands")
        with stopped(running.pid) as it:
            ours = [frame.pc for frame in it.stack().frames]
        command = ["gdb", "-nx", "-batch", "-p", str(running.pid), "-ex", "set backtrace past-main on"]
        command += ["-ex", "set backtrace past-entry on", "-ex", "python f = gdb.newest_frame()"]
        wanted = "f.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME)"  # which no unwind table knows
        command += ["-ex", f"python\nwhile f:\n  if {wanted}: print('frame', f.pc())\n  f = f.older()\nend"]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
        theirs = [int(it) for it in re.findall(r"^frame (\d+)$", shown, re.M)]
    assert len(ours) >= 4
    assert ours == theirs
