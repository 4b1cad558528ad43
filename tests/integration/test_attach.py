"""Processes that were started without live.so, or are only to be visited: they are updated, and notice nothing."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from liveso.holder.registers import SEIZE, ptrace
from tests.harness import LIVESO, Bench, Program, wait_until
from tests.steady import noticed

STEADY = Path(__file__).parent / "programs" / "steady.c"
LIBRARY = """
static int calls;
int version(void) { calls++; return VERSION; }
int number_of_calls(void) { return calls; }
"""
UPDATES = 12
KERNEL_THREAD = Path("/proc/2/comm")  # not in a PID namespace


def build(bench: Bench, waiting: int = 0, computing: int = 0) -> tuple[str, ...]:
    for version in (1, 2, 3):
        bench.compile(LIBRARY, f"lib.{version}.so", "-O2", "-shared", "-fPIC", f"-DVERSION={version}")
    bench.link("lib.1.so", "libversion.so")
    link = ("-L.", "-lversion", f"-Wl,-rpath,{bench.folder}")
    bench.compile(STEADY, "steady", "-O2", "-pthread", *link)
    return "./steady", str(waiting), str(computing)


def liveso(bench: Bench, *arguments: str | int) -> subprocess.CompletedProcess[str]:
    command = [str(LIVESO), *map(str, arguments)]
    return subprocess.run(command, env=bench.environment, capture_output=True, text=True, timeout=120)


def attach(bench: Bench, program: Program) -> None:
    done = liveso(bench, "attach", program.pid)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"attached: 1 process ({program.pid})\n"


def update(bench: Bench, version: int, *programs: Program) -> None:
    """Put a version on disk, and see every program run it."""
    lines = [len(it.lines) for it in programs]
    bench.update(f"lib.{version}.so", "libversion.so", *(it.pid for it in programs))
    for it, before in zip(programs, lines, strict=True):
        it.wait_for(f"version {version}", before)


def traces(pid: int) -> tuple[list[str], list[str]]:
    """The threads of a process, and what it has open."""
    descriptors = Path(f"/proc/{pid}/fd")
    return os.listdir(f"/proc/{pid}/task"), sorted(os.readlink(it) for it in descriptors.iterdir())


@pytest.mark.parametrize("waiting, computing", [(0, 0), (2, 0), (1, 2)])
def test_a_process_without_live_so_is_updated_and_notices_nothing(bench: Bench, waiting: int, computing: int) -> None:
    program = bench.run_plain(*build(bench, waiting, computing))
    program.wait_for("version 1")
    wait_until(lambda: len(traces(program.pid)[0]) == 1 + waiting + computing, "its threads")
    before = traces(program.pid)
    attach(bench, program)
    for number in range(UPDATES):
        update(bench, 2 + number % 2, program)
    assert traces(program.pid) == before
    assert noticed(program) == []
    (target,) = [it for it in bench.status() if it["pid"] == program.pid]
    assert target["mode"] == "visited"


def test_a_program_with_live_so_is_visited_where_it_asks_for_that(bench: Bench) -> None:
    program = bench.run(*build(bench), LIVE_MODE="visited")
    program.wait_for("version 1")
    bench.library(program.pid, "libversion.so")
    threads, files = traces(program.pid)
    assert len(threads) == 1 and not any("socket" in it for it in files)
    for number in range(4):
        update(bench, 2 + number % 2, program)
    assert traces(program.pid) == (threads, files)
    assert noticed(program) == []


def test_children_are_found_and_a_process_that_is_detached_keeps_what_it_has(bench: Bench) -> None:
    bench.compile(
        """
        #include <stdio.h>
        #include <unistd.h>
        int version(void);
        int main(void)
        {
            char line[9];
            setvbuf(stdout, NULL, _IOLBF, 0);
            puts("ready");
            fgets(line, sizeof line, stdin);
            fork();
            for (;; usleep(10000))
                printf("%d version %d\\n", getpid(), version());
        }
        """,
        "forks",
        *(*("-O2", "-I."), *link_to_version(bench)),
    )
    program = bench.run_plain("./forks")
    program.wait_for("ready")
    attach(bench, program)
    program.ask("go")
    (child,) = program.children(1)
    bench.update("lib.2.so", "libversion.so", program.pid, child)
    for pid in (program.pid, child):
        program.wait_for(f"{pid} version 2")
    done = liveso(bench, "detach", program.pid)
    assert (done.returncode, done.stdout) == (0, f"detached: 1 process ({program.pid})\n")
    wait_until(lambda: [it["pid"] for it in bench.status()] == [child], "only the child is served")
    bench.update("lib.3.so", "libversion.so", child)
    program.wait_for(f"{child} version 3")
    before = len(program.lines)
    assert program.wait_for(f"{program.pid} version", before).endswith("version 2")
    os.kill(child, signal.SIGKILL)


def link_to_version(bench: Bench) -> tuple[str, ...]:
    build(bench)
    return "-L.", "-lversion", f"-Wl,-rpath,{bench.folder}"


def test_a_new_daemon_finds_what_was_attached_and_updated(bench: Bench) -> None:
    program, left = (bench.run_plain(*build(bench)) for _each in range(2))
    for it in (program, left):
        it.wait_for("version 1")
        attach(bench, it)
    update(bench, 2, program, left)
    assert liveso(bench, "detach", left.pid).returncode == 0
    bench.kill_daemon()
    bench.start_daemon()
    bench.wait_for_library(program.pid, "libversion.so", result="updated")
    update(bench, 3, program)
    update(bench, 1, program)
    assert [it["pid"] for it in bench.status()] == [program.pid]
    assert noticed(program) == []


def test_a_process_that_executes_another_program_is_not_taken_for_the_one_before(bench: Bench) -> None:
    build(bench)
    bench.compile('#include <unistd.h>\nint main(void) { pause(); execl("./steady", "./steady", NULL); }', "first")
    program = bench.run_plain("sh", "-c", "read line; exec ./steady")
    attach(bench, program)
    program.ask("go")
    program.wait_for("version 1")
    wait_until(lambda: bench.status() == [], "what was attached has gone")
    attach(bench, program)
    update(bench, 2, program)


def test_what_cannot_be_attached_is_refused_with_a_reason(bench: Bench) -> None:
    bench.compile("#include <unistd.h>\nint main(void) { for (;;) pause(); }", "static", "-static")
    program = bench.run_plain("./static")
    done = liveso(bench, "attach", program.pid)
    assert done.returncode == 1
    assert "its C library does not offer" in done.stderr and "statically linked" in done.stderr
    traced = bench.run_plain(*build(bench))
    traced.wait_for("version 1")
    assert ptrace(SEIZE, traced.pid)
    done = liveso(bench, "attach", traced.pid)
    assert done.returncode == 1 and f"process {os.getpid()} traces it already" in done.stderr
    cases = {
        ("attach", "4194304"): "process 4194304 has ended",
        ("attach",): "say which processes",
        ("attach", "--command", "no-such-command"): "no process runs the command no-such-command",
        ("attach", "--unit", "no-such-unit"): "no process belongs to the unit no-such-unit.service",
        ("attach", "x"): "'x' is not a valid integer",
        ("detach", str(traced.pid)): "is not attached",
    }
    if KERNEL_THREAD.exists() and KERNEL_THREAD.read_text() == "kthreadd\n":
        cases["attach", "2"] = "process 2 is the kernel's own"
    for arguments, said in cases.items():
        done = liveso(bench, *arguments)
        assert done.returncode in (1, 2) and said in done.stderr, (arguments, done)
        assert len(done.stderr.splitlines()) == 1


def test_processes_are_named_by_their_command(bench: Bench) -> None:
    programs = [bench.run_plain(*build(bench)) for _each in range(2)]
    for it in programs:
        it.wait_for("version 1")
    done = liveso(bench, "attach", "--command", str(bench.folder / "steady"))
    assert done.returncode == 0 and "attached: 2 processes" in done.stdout
    update(bench, 2, *programs)


def test_a_file_that_is_overwritten_in_place_does_not_end_a_visited_process(bench: Bench) -> None:
    program = bench.run_plain(*build(bench, 1, 1))
    program.wait_for("version 1")
    (bench.folder / "libversion.so").unlink()
    (bench.folder / "libversion.so").write_bytes((bench.folder / "lib.1.so").read_bytes())
    program.kill()
    program = bench.run_plain("./steady", "1", "1")
    program.wait_for("version 1")
    attach(bench, program)
    content = (bench.folder / "lib.2.so").read_bytes()
    wait_until(lambda: not bench.library(program.pid, "libversion.so")["unprotected"], "it is protected")
    subprocess.run(["sh", "-c", "cat lib.2.so > libversion.so"], cwd=bench.folder, check=True)
    assert (bench.folder / "libversion.so").read_bytes() == content
    before = len(program.lines)
    program.wait_for("version 2", before)
    assert noticed(program) == []


TROUBLES = {
    "main has ended": """
        static void *run(void *unused)
        {
            for (;; usleep(10000))
                printf("version %d\\n", version());
            return unused;
        }
        int main(void)
        {
            pthread_t thread;
            setvbuf(stdout, NULL, _IOLBF, 0);
            pthread_create(&thread, NULL, run, NULL);
            pthread_exit(NULL);
        }
    """,
    "threads come and go": """
        static void *end(void *unused) { return unused; }
        static void *make(void *unused)
        {
            pthread_t thread;
            for (;;)
                if (pthread_create(&thread, NULL, end, NULL) == 0)
                    pthread_join(thread, NULL);
            return unused;
        }
        int main(void)
        {
            pthread_t thread;
            setvbuf(stdout, NULL, _IOLBF, 0);
            pthread_create(&thread, NULL, make, NULL);
            for (;; usleep(10000))
                printf("version %d\\n", version());
        }
    """,
    "system calls are filtered": """
        int main(void)
        {
            struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}, deny[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 2, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 1, 0),
                allow[0],
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
            };
            struct sock_fprog filter = {5, deny};
            setvbuf(stdout, NULL, _IOLBF, 0);
            printf("version %d\\n", version());
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
                return 1;
            for (;; usleep(10000))
                printf("version %d\\n", version());
        }
    """,
    "it allocates all the while": """
        static void *churn(void *unused)
        {
            for (unsigned size = 1;; size = size * 7 % 9973) {
                void *block = malloc(size);
                memset(block, 1, size);
                free(block);
            }
            return unused;
        }
        int main(void)
        {
            pthread_t thread;
            setvbuf(stdout, NULL, _IOLBF, 0);
            for (int i = 0; i < 3; i++)
                pthread_create(&thread, NULL, churn, NULL);
            for (;;) {
                printf("version %d\\n", version());
                churn_for_a_while();
            }
        }
    """,
}
INCLUDES = """
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int version(void);
static inline void churn_for_a_while(void)
{
    for (unsigned i = 0; i < 100000; i++) {
        char *block = malloc(i % 999 + 1);
        block[0] = (char)i;
        if (block[0] != (char)i)
            abort();
        free(block);
    }
}
"""


@pytest.mark.parametrize("trouble", TROUBLES)
def test_programs_that_do_unusual_things_are_updated(bench: Bench, trouble: str) -> None:
    bench.folder.chmod(0o755)
    link = link_to_version(bench)
    bench.compile(INCLUDES + TROUBLES[trouble], "program", "-O1", "-pthread", *link)
    program = bench.run_plain("./program")
    program.wait_for("version 1")
    attach(bench, program)
    for number in range(6):
        update(bench, 2 + number % 2, program)
    before = len(program.lines)
    program.wait_for("version 3", before)
    assert program.process.poll() is None


def test_a_process_that_another_daemon_attaches_is_let_go(bench: Bench, tmp_path: Path) -> None:
    program = bench.run_plain(*build(bench))
    program.wait_for("version 1")
    attach(bench, program)
    update(bench, 2, program)
    (tmp_path / "other").mkdir()
    other = Bench(tmp_path / "other")
    other.start_daemon()
    try:
        attach(other, program)
        bench.link("lib.3.so", "libversion.so")
        wait_until(lambda: bench.status() == [], "the first daemon lets it go")
        wait_until(lambda: [it["pid"] for it in other.status()] == [program.pid], "the other one serves it")
        assert noticed(program) == []
    finally:
        other.close()
