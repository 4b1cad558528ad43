"""A process that was forked just now is not said to run what lies on disk before it was compared with that."""

import hashlib

from tests.harness import Bench

SHARED = ("-O2", "-fPIC", "-shared", "-Wl,-soname,libanswer.so")
PROGRAM = r"""
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int answer(void);
int main(void) {
    char line[99];
    while (fgets(line, sizeof line, stdin)) {
        if (fork() == 0) { usleep(300000); _exit(0); }
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
        printf("answer %d\n", answer());
        fflush(stdout);
    }
    return 0;
}
"""


def test_a_worker_of_a_process_that_refused_is_never_said_to_be_current(bench: Bench) -> None:
    bench.compile("int answer(void) { return 1; }", "libanswer.1.so", *SHARED)
    bench.compile("int other(void) { return 2; }", "libanswer.2.so", *SHARED)
    bench.link("libanswer.1.so", "libanswer.so")
    bench.compile(PROGRAM, "program", "-L.", "-l:libanswer.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libanswer.so")
    bench.link("libanswer.2.so", "libanswer.so")
    bench.wait_for_library(program.pid, "libanswer.so", result="refused", in_force=False)
    on_disk = hashlib.sha256((bench.folder / "libanswer.2.so").read_bytes()).hexdigest()
    seen, wrong = set(), []
    for number in range(40):
        program.ask("")
        program.wait_for("answer", number)
        for _question in range(8):
            for target in bench.status():
                for library in target["libraries"]:
                    seen.add(target["pid"])
                    if library["in_force"] and library["version"] != on_disk:
                        wrong.append((target["pid"], library["result"]))
    assert len(seen) > 5
    assert not wrong
