"""The life of processes: fork, exec, descriptors, signals, children, and daemons that come and go."""

import fcntl
import os
import signal
from pathlib import Path

import pytest

from tests.harness import AGENT, Bench, Program, wait_until

LIBRARY = """
#include <stdio.h>
#include <unistd.h>
static int counter;
void hello(const char *who)
{
	printf("%s: version %d, count %d\\n", who, VERSION, ++counter);
	fflush(stdout);
}
"""


def build(bench: Bench, program: str, *flags: str) -> None:
    for version in (1, 2, 3):
        bench.compile(LIBRARY, f"libhello.{version}.so", "-O2", "-fPIC", "-shared", f"-DVERSION={version}")
    bench.link("libhello.1.so", "libhello.so")
    bench.compile(program, "program", "-D_GNU_SOURCE", "-L.", "-lhello", "-Wl,-rpath,$ORIGIN", *flags)


def served(bench: Bench, pid: int) -> None:
    bench.library(pid, "libhello.so")


def update(bench: Bench, version: int, *pids: int) -> None:
    """Retarget the library, and wait until each process runs the new version."""
    bench.update(f"libhello.{version}.so", "libhello.so", *pids)


def test_parent_and_child_go_on_separately_and_both_are_updated(bench: Bench) -> None:
    build(
        bench,
        """
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/wait.h>
        #include <unistd.h>
        void hello(const char *who);
        int main(void)
        {
            char line[100];
            int pipes[2];
            pid_t child = 0;
            while (fgets(line, sizeof line, stdin)) {
                if (line[0] == 'f') {
                    if (pipe(pipes) == 0 && (child = fork()) == 0) {
                        close(pipes[1]);
                        FILE *orders = fdopen(pipes[0], "r");
                        printf("child is %d\\n", getpid());
                        fflush(stdout);
                        while (fgets(line, sizeof line, orders))
                            hello("child");
                        exit(0);
                    }
                    close(pipes[0]);
                } else if (line[0] == 'c') {
                    if (write(pipes[1], "\\n", 1) != 1)
                        return 1;
                } else {
                    hello("parent");
                }
            }
            close(pipes[1]);
            return child && waitpid(child, NULL, 0) != child;
        }
        """,
    )
    program = bench.run("./program")
    served(bench, program.pid)
    program.ask("p")
    program.wait_for("parent: version 1, count 1")
    update(bench, 2, program.pid)
    program.ask("f")
    child = int(program.wait_for("child is").split()[-1])
    served(bench, child)
    for order, expected in (("c", "child: version 2, count 2"), ("c", "child: version 2, count 3")):
        program.ask(order)
        program.wait_for(expected)
    program.ask("p")
    program.wait_for("parent: version 2, count 2")
    for version in (3, 1):
        update(bench, version, program.pid, child)
        program.ask("p")
        program.wait_for(f"parent: version {version}")
        program.ask("c")
        program.wait_for(f"child: version {version}")
    assert program.end() == 0
    assert "parent: version 1, count 4" in program.lines and "child: version 1, count 5" in program.lines


# For each line, a child that first prints what `in_child` makes of it, and then waits to be ended.
FORKING = """
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>
void hello(const char *who);
static void in_child(void);
int main(void)
{
    char line[9];
    hello("parent");
    while (fgets(line, sizeof line, stdin))
        if (fork() == 0) {
            in_child();
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
                pause();
        }
    return 0;
}
"""


def make_child(program: Program) -> list[str]:
    """The words that a new child prints."""
    before = len(program.lines)
    program.ask("")
    return program.wait_for("child", before).split()


def test_a_child_that_runs_what_is_on_disk_already_is_not_examined(idle_bench: Bench) -> None:
    """A package manager at work would have to be waited for."""
    lock = idle_bench.folder / "lock"
    idle_bench.environment["LIVE_PACKAGE_LOCKS"] = str(lock)
    idle_bench.start_daemon()
    build(idle_bench, FORKING + 'static void in_child(void) { printf("child %d\\n", getpid()); fflush(stdout); }')
    program = idle_bench.run("./program")
    served(idle_bench, program.pid)
    update(idle_bench, 2, program.pid)
    with lock.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        for _ in range(3):  # by the time that one is known, the one before would have been examined
            child = int(make_child(program)[1])
            idle_bench.wait_for_library(child, "libhello.so", result="updated", build_id=bool)
    assert not idle_bench.log_lines("event=waiting")
    assert program.end() == 0


def test_a_child_does_not_wait_for_the_agents_thread(bench: Bench) -> None:
    """On a busy machine that thread may not run for a while. A child that was never off the processor did not wait."""
    if "Seccomp:\t0\n" not in Path("/proc/self/status").read_text():
        pytest.skip("a filter of system calls holds here")
    build(
        bench,
        FORKING
        + """
        static void in_child(void)
        {
            struct rusage usage;
            getrusage(RUSAGE_THREAD, &usage);
            printf("child %ld\\n", usage.ru_nvcsw);
            fflush(stdout);
        }
        """,
    )
    program = bench.run("./program")
    served(bench, program.pid)
    waits = [int(make_child(program)[1]) for _ in range(20)]
    assert waits.count(0) > len(waits) / 2, waits
    assert program.end() == 0


def test_a_child_that_goes_to_another_folder_at_once_is_known_by_the_one_that_it_comes_from(bench: Bench) -> None:
    """What the dynamic linker calls by a relative name is looked for in the folder of the agent's thread."""
    build(
        bench,
        FORKING
        + """
        static void in_child(void)
        {
            if (chdir("/") == 0)
                printf("child %d\\n", getpid());
            fflush(stdout);
        }
        """,
        "-Wl,--enable-new-dtags",  # LD_LIBRARY_PATH goes before these
    )
    program = bench.run("./program", LD_LIBRARY_PATH=".")
    served(bench, program.pid)
    for _ in range(20):
        child = int(make_child(program)[1])
        assert bench.library(child, "libhello.so")["path"] == str(bench.folder / "libhello.so")
    assert program.end() == 0


def test_a_program_that_executes_itself_is_a_new_target(bench: Bench) -> None:
    build(
        bench,
        """
        #include <stdio.h>
        #include <unistd.h>
        void hello(const char *who);
        int main(int count, char **arguments)
        {
            char character, order;
            while (read(0, &order, 1) == 1)
                if (order == 'x')
                    execl("/proc/self/exe", arguments[0], "again", NULL);
                else if (order == 'h')
                    hello(count > 1 ? "again" : "first");
            (void)character;
            return 0;
        }
        """,
    )
    program = bench.run("./program")
    served(bench, program.pid)
    update(bench, 2, program.pid)
    program.ask("h")
    program.wait_for("first: version 2, count 1")
    program.ask("x")
    program.ask("h")
    program.wait_for("again: version 2, count 1")
    bench.wait_for_library(program.pid, "libhello.so", versions_loaded=1)
    update(bench, 3, program.pid)
    program.ask("h")
    program.wait_for("again: version 3, count 2")


def test_a_program_that_closes_all_descriptors_is_still_served(bench: Bench) -> None:
    build(
        bench,
        """
        #include <stdio.h>
        #include <unistd.h>
        void hello(const char *who);
        int main(void)
        {
            char line[100];
            while (fgets(line, sizeof line, stdin)) {
                closefrom(3);
                hello("program");
            }
            return 0;
        }
        """,
    )
    program = bench.run("./program")
    program.ask("")
    program.wait_for("program: version 1, count 1")
    served(bench, program.pid)
    update(bench, 2, program.pid)
    program.ask("")
    program.wait_for("program: version 2, count 2")


def test_the_program_sees_no_descriptor_and_no_child_of_ours(idle_bench: Bench) -> None:
    """The first target starts the daemon: neither that nor the connection shows in the program."""
    build(
        idle_bench,
        """
        #include <dirent.h>
        #include <errno.h>
        #include <signal.h>
        #include <stdio.h>
        #include <sys/wait.h>
        #include <unistd.h>
        void hello(const char *who);
        static volatile sig_atomic_t children;
        static void count(int number) { (void)number; children++; }
        int main(void)
        {
            char line[100];
            signal(SIGCHLD, count);
            while (fgets(line, sizeof line, stdin)) {
                int descriptors = 0;
                DIR *folder = opendir("/proc/self/fd");
                while (readdir(folder))
                    descriptors++;
                closedir(folder);
                errno = 0;
                int waited = (int)wait(NULL);
                printf("descriptors %d, wait %d %d, signals %d\\n", descriptors - 3, waited, errno == ECHILD,
                       (int)children);
                hello("program");
            }
            return 0;
        }
        """,
    )
    program = idle_bench.run("./program")
    served(idle_bench, program.pid)
    update(idle_bench, 2, program.pid)
    program.ask("")
    program.wait_for("descriptors 3, wait -1 1, signals 0")
    program.wait_for("program: version 2")


def test_a_new_daemon_finds_the_targets_of_one_that_was_killed(bench: Bench) -> None:
    build(
        bench,
        """
        #include <stdio.h>
        void hello(const char *who);
        int main(void) { char line[9]; while (fgets(line, sizeof line, stdin)) hello("program"); return 0; }
        """,
    )
    program = bench.run("./program")
    served(bench, program.pid)
    program.ask("")
    program.wait_for("version 1, count 1")
    update(bench, 2, program.pid)
    bench.kill_daemon()
    program.ask("")
    program.wait_for("version 2, count 2")
    bench.start_daemon()
    bench.wait_for_library(program.pid, "libhello.so", result="updated", versions_loaded=2)
    for version in (1, 3):
        update(bench, version, program.pid)
    program.ask("")
    program.wait_for("version 3, count 3")
    bench.kill_daemon()
    bench.link("libhello.2.so", "libhello.so")  # what changes while no daemon is there is made up for
    bench.start_daemon()
    program.wait_for_error("updated")
    bench.wait_for_version("libhello.2.so", "libhello.so", program.pid)
    program.ask("")
    program.wait_for("version 2, count 4")


def test_a_process_ends_with_its_last_own_thread(bench: Bench) -> None:
    build(
        bench,
        """
        #include <pthread.h>
        #include <stdio.h>
        void hello(const char *who);
        static void *work(void *unused)
        {
            char line[100];
            while (fgets(line, sizeof line, stdin))
                hello("thread");
            return unused;
        }
        int main(void)
        {
            pthread_t thread;
            pthread_create(&thread, NULL, work, NULL);
            pthread_exit(NULL);
        }
        """,
    )
    program = bench.run("./program")
    served(bench, program.pid)
    update(bench, 2, program.pid)
    program.ask("")
    program.wait_for("thread: version 2, count 1")
    assert program.end() == 0


def test_a_process_ends_with_its_last_own_thread_without_a_daemon_too(idle_bench: Bench) -> None:
    idle_bench.compile(
        "#include <pthread.h>\n#include <stdio.h>\nint main(void) { getchar(); pthread_exit(0); }", "program"
    )
    program = idle_bench.run("./program", LIVE_DAEMON="/nonexistent")
    program.wait_for_error("live.so: no daemon listens and none can be started")
    assert program.end() == 0
    at_once = idle_bench.run("./program", LIVE_DAEMON="/nonexistent")
    assert at_once.end() == 0


def test_two_daemons_never_run_for_one_user(bench: Bench) -> None:
    second = bench.run_plain(AGENT.parents[4] / "bin" / "liveso", "daemon")
    assert second.end() == 6
    second.wait_for_error("a daemon runs already")


def test_many_first_targets_start_one_daemon(idle_bench: Bench) -> None:
    idle_bench.compile("#include <stdio.h>\nint main(void) { return getchar() == 0; }", "program")
    programs = [idle_bench.run("./program") for _ in range(8)]
    wait_until(lambda: len(idle_bench.status()) == len(programs), "all targets at one daemon")


def test_signals_and_output_of_the_program_stay_its_own(bench: Bench) -> None:
    """Output ends for a reader when the program closes it, though it was logged to; a signal meets the program."""
    build(
        bench,
        """
        #include <signal.h>
        #include <stdio.h>
        #include <unistd.h>
        void hello(const char *who);
        static void on_signal(int number) { (void)number; hello("signal"); }
        int main(void)
        {
            signal(SIGUSR1, on_signal);
            close(2);
            for (;;)
                pause();
        }
        """,
    )
    program = bench.run("./program")
    served(bench, program.pid)
    wait_until(lambda: not program._readers[1].is_alive(), "the end of standard error")
    update(bench, 2, program.pid)
    os.kill(program.pid, signal.SIGUSR1)
    program.wait_for("signal: version 2, count 1")


def test_a_fork_in_every_moment_of_an_update_leaves_a_child_that_works(bench: Bench) -> None:
    build(
        bench,
        """
        #include <dlfcn.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <sys/wait.h>
        #include <unistd.h>
        void hello(const char *who);
        int main(void)
        {
            fcntl(0, 4, 04000);
            char end;
            long forks = 0;
            hello("parent");
            while (read(0, &end, 1) != 0) {
                int status;
                pid_t child = fork();
                if (child == 0) {
                    void *handle = dlopen("libm.so.6", RTLD_NOW);
                    free(malloc(100000));
                    _exit(handle ? 0 : 1);
                }
                if (waitpid(child, &status, 0) != child || status != 0) {
                    printf("a child failed: %x\\n", status);
                    return 1;
                }
                forks++;
            }
            printf("%s\\n", forks > 20 ? "all children worked" : "too few");
            return 0;
        }
        """,
        "-include",
        "fcntl.h",
    )
    program: Program = bench.run("./program")
    served(bench, program.pid)
    for count in range(10):
        update(bench, count % 3 + 1, program.pid)
    assert program.end() == 0
    program.wait_for("all children worked")


@pytest.mark.parametrize(("mode", "reason"), [("resident", "malloc of its own"), ("visited", "allocator of its own")])
def test_a_program_with_an_allocator_of_its_own_and_one_thread_is_left_alone(
    bench: Bench, mode: str, reason: str
) -> None:
    build(
        bench,
        """
        #include <stddef.h>
        #include <stdio.h>
        #include <string.h>
        void hello(const char *who);
        static char memory[1 << 24];
        static size_t used;
        void *malloc(size_t size)
        {
            used = (used + 31) & ~15ul;
            *(size_t *)(memory + used) = size;
            used += 16 + size;
            return memory + used - size;
        }
        void free(void *block) { (void)block; }
        void *calloc(size_t count, size_t size) { return memset(malloc(count * size), 0, count * size); }
        void *realloc(void *old, size_t size)
        {
            void *block = malloc(size);
            return old ? memcpy(block, old, size) : block;
        }
        int main(void) { char line[9]; while (fgets(line, sizeof line, stdin)) hello("program"); return 0; }
        """,
        "-fno-builtin",
    )
    program = bench.run("./program", LIVE_MODE=mode)
    served(bench, program.pid)
    bench.link("libhello.2.so", "libhello.so")
    library = bench.wait_for_result(program.pid, "libhello.so", "refused")
    assert reason in library["reason"]
    program.ask("")
    program.wait_for("program: version 1, count 1")


def test_the_daemon_needs_no_terminal_and_keeps_no_file_of_the_program(idle_bench: Bench) -> None:
    build(idle_bench, "#include <stdio.h>\nint main(void) { return getchar() == 0; }")
    program = idle_bench.run("./program")
    lock = Path(f"{idle_bench.environment['LIVE_SOCKET']}.lock")
    wait_until(lambda: idle_bench.status(), "the daemon")
    daemon = int(lock.read_text())
    assert os.getsid(daemon) != os.getsid(program.pid)
    assert [os.readlink(f"/proc/{daemon}/fd/{number}") for number in range(3)] == ["/dev/null"] * 3
    assert os.readlink(f"/proc/{daemon}/cwd") == "/"
