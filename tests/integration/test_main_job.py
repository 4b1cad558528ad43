"""The main job: a library changes on disk, and the running program executes the new version on its old data."""

from tests.harness import Bench

LIBRARY = """
#include <stdio.h>
static int counter;
int exported = 100;
static __thread int local_in_thread;
__thread int exported_in_thread = 7;
int hello(void)
{
	counter++, exported++, local_in_thread++, exported_in_thread++;
	printf("version %d: %d %d %d %d\\n", VERSION, counter, exported, local_in_thread, exported_in_thread);
	fflush(stdout);
	return counter;
}
__attribute__((constructor)) static void begin(void) { printf("begin %d\\n", VERSION); }
__attribute__((destructor)) static void end(void) { printf("end %d\\n", VERSION); }
"""

PROGRAM = """
#include <stdio.h>
int hello(void);
int main(void)
{
	char line[100];
	while (fgets(line, sizeof line, stdin))
		hello();
	return 0;
}
"""


def build(bench: Bench, *flags: str) -> None:
    for version in (1, 2, 3):
        bench.compile(LIBRARY, f"libhello.{version}.so", "-O2", "-fPIC", "-shared", f"-DVERSION={version}", *flags)
    bench.link("libhello.1.so", "libhello.so")
    bench.compile(PROGRAM, "program", "-O2", "-L.", "-lhello", "-Wl,-rpath,$ORIGIN")


def test_a_retargeted_link_brings_the_new_code_to_the_old_data(bench: Bench) -> None:
    build(bench)
    program = bench.run("./program")
    program.ask("")
    program.wait_for("version 1: 1 101 1 8")
    bench.library(program.pid, "libhello.so")
    bench.link("libhello.2.so", "libhello.so")
    bench.wait_for_result(program.pid, "libhello.so", "updated")
    program.ask("")
    program.wait_for("version 2: 2 102 2 9")
    assert program.end() == 0
    assert program.lines[0] == "begin 1" and program.lines[-1] == "end 1"
    assert not any(line in program.lines for line in ("begin 2", "end 2"))
