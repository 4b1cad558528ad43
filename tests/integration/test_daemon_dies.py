"""A daemon that is killed while it holds a program's threads still and the pages of a library move."""

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

from tests.harness import Bench, Program, wait_until

DEATHS, HOLDERS_DEATHS = 32, 10
LONGEST = 0.012  # seconds from the first thread that stands still to the death: all has been done by then

LIBRARY = """
static long counters[4096];
long count(int thread)
{
	for (int page = 0; page < 8; page++)
		counters[page * 512 + thread]++;
	return counters[thread];
}
long sum(int page)
{
	long found = 0;
	for (int thread = 0; thread < 4; thread++)
		found += counters[page * 512 + thread];
	return found;
}
"""

PROGRAM = """
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
enum { THREADS = 4 };
static long (*count[LIBRARIES])(int), (*sum[LIBRARIES])(int);
static long calls[THREADS];
static atomic_int stop;
static void *run(void *number)
{
	int own = (int)(long)number;
	while (!stop) {
		for (int i = 0; i < LIBRARIES; i++)
			count[i](own);
		calls[own]++;
		usleep(own ? 200 : 20);
	}
	return NULL;
}
int main(void)
{
	pthread_t threads[THREADS];
	char line[9], name[99];
	for (int i = 0; i < LIBRARIES; i++) {
		snprintf(name, sizeof name, "./lib%d.so", i);
		void *library = dlopen(name, RTLD_NOW);
		count[i] = (long (*)(int))dlsym(library, "count");
		sum[i] = (long (*)(int))dlsym(library, "sum");
	}
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, run, (void *)i);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin))
		;
	stop = 1;
	long all = 0, lost = 0;
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		all += calls[i];
	}
	for (int i = 0; i < LIBRARIES; i++)
		for (int page = 0; page < 8; page++)
			lost += all - sum[i](page);
	printf("calls %ld lost %ld\\n", all, lost);
	return 0;
}
"""


def build(bench: Bench) -> None:
    for number in range(DEATHS):
        flags = ("-O2", "-fPIC", "-shared", f"-Wl,-soname,lib{number}.so")
        bench.compile(LIBRARY, f"lib{number}.so", *flags)
    bench.compile(PROGRAM, "program", "-O2", "-pthread", f"-DLIBRARIES={DEATHS}")


def threads_that_stand(program: Program) -> int:
    count = 0
    for file in Path(f"/proc/{program.pid}/task").glob("*/stat"):
        try:
            count += file.read_text().rpartition(")")[2].split()[0] == "t"
        except OSError:
            continue
    return count


def holders(bench: Bench) -> list[int]:
    """The processes that the daemon has made to hold threads still."""
    assert bench.daemon
    children = Path(f"/proc/{bench.daemon.pid}/task/{bench.daemon.pid}/children").read_text().split()
    found = []
    for child in children:
        command = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        if any(word.endswith("holder.py") for word in command):
            found.append(int(child))
    return found


def lost(program: Program) -> int:
    assert program.end() == 0, program.output()
    found = re.fullmatch(r"calls (\d+) lost (-?\d+)", program.lines[-1])
    assert found and int(found[1]) > 1000, program.output()
    return int(found[2])


def kill_during_carries(bench: Bench, program: Program, kill_holder: bool) -> int:
    """In how many deaths the pages of the library had moved, or moved afterwards."""
    chance = random.Random(3)
    moved = 0
    for number in range(HOLDERS_DEATHS if kill_holder else DEATHS):
        bench.start_daemon()
        assert bench.library(program.pid, f"lib{number}.so")["unprotected"] == ""
        writer = subprocess.Popen(["sh", "-c", f": >> lib{number}.so"], cwd=bench.folder)
        wait_until(lambda: threads_that_stand(program) or "event=carried" in "\n".join(log(bench)), "a freeze")
        victims = holders(bench) if kill_holder else []
        spin(chance.uniform(0, LONGEST))
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        if victims:
            wait_until(lambda: any("carried" in line for line in log(bench)), "the end of it")
        bench.kill_daemon()
        assert writer.wait(60) == 0
        wait_until(lambda: threads_that_stand(program) == 0, "threads that run again")
        mapped = Path(f"/proc/{program.pid}/maps").read_text()
        moved += f"/carried/lib{number}.so" in mapped
    return moved


def spin(seconds: float) -> None:
    """Wait for less than a sleeping process is woken within."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def log(bench: Bench) -> list[str]:
    assert bench.daemon
    return bench.daemon.error_lines


def test_no_count_is_lost_when_the_daemon_is_killed_while_pages_move(idle_bench: Bench) -> None:
    build(idle_bench)
    program = idle_bench.run("./program", LIVE_DAEMON="/none")
    program.wait_for("ready")
    moved = kill_during_carries(idle_bench, program, kill_holder=False)
    assert lost(program) == 0 and moved > 0


def test_no_count_is_lost_when_the_process_is_killed_that_holds_the_threads(idle_bench: Bench) -> None:
    build(idle_bench)
    program = idle_bench.run("./program", LIVE_DAEMON="/none")
    program.wait_for("ready")
    kill_during_carries(idle_bench, program, kill_holder=True)
    assert lost(program) == 0
