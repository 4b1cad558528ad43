"""Threads that are busy in a library while it is updated again and again."""

import re

from tests.harness import Bench, Program

UPDATES = 200

LIBRARY = """
#include <pthread.h>
static long in_static;
long exported;
static __thread long in_thread;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
int version(void) { return VERSION; }
long count(void)
{
	__atomic_fetch_add(&in_static, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&exported, 1, __ATOMIC_RELAXED);
	return ++in_thread;
}
long static_sum(void) { return in_static; }
void hold(void) { pthread_mutex_lock(&mutex); }
void release(void) { pthread_mutex_unlock(&mutex); }
"""

COUNTERS = """
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
long count(void), static_sum(void);
int version(void);
extern long exported;
static atomic_int stop;
static void *run(void *calls)
{
	long own = 0, last = 0;
	while (!stop)
		last = count(), own++;
	*(long *)calls = own;
	return last == own ? calls : NULL;
}
int main(void)
{
	pthread_t threads[8];
	long calls[8], sum = 0, exact = 0;
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, run, &calls[i]);
	char line[9];
	while (fgets(line, sizeof line, stdin)) {
		printf("version %d\\n", version());
		fflush(stdout);
	}
	stop = 1;
	for (int i = 0; i < 8; i++) {
		void *result;
		pthread_join(threads[i], &result);
		exact += result != NULL;
		sum += calls[i];
	}
	printf("calls %ld static %ld exported %ld exact threads %ld\\n", sum, static_sum(), exported, exact);
	return 0;
}
"""

WAITER = """
#include <pthread.h>
#include <stdio.h>
void hold(void), release(void);
int version(void);
static void *wait_for_it(void *unused)
{
	puts("waiting");
	fflush(stdout);
	hold();
	puts("through");
	fflush(stdout);
	release();
	return unused;
}
int main(void)
{
	char line[9];
	pthread_t thread;
	hold();
	pthread_create(&thread, NULL, wait_for_it, NULL);
	while (fgets(line, sizeof line, stdin) && line[0] != 'r') {
		printf("version %d\\n", version());
		fflush(stdout);
	}
	release();
	pthread_join(thread, NULL);
	return 0;
}
"""


def start(bench: Bench, source: str) -> Program:
    for version in (1, 2, 3):
        flags = ("-O2", "-fPIC", "-shared", f"-DVERSION={version}", "-Wl,-soname,libcount.so")
        bench.compile(LIBRARY, f"libcount.{version}.so", *flags)
    bench.link("libcount.1.so", "libcount.so")
    bench.compile(source, "program", "-O2", "-pthread", "-L.", "-lcount", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program", LIVE_LOGLEVEL="1")
    bench.library(program.pid, "libcount.so")
    return program


def update(bench: Bench, program: Program, version: int) -> None:
    """Change the library, and wait until a call gets to the new version."""
    before = bench.log_length()
    bench.link(f"libcount.{version}.so", "libcount.so")
    bench.wait_for_log("event=updated", after=before)
    lines = len(program.lines)
    program.ask("")
    assert program.wait_for("version", after=lines) == f"version {version}"


def test_sums_are_exact_after_many_updates(bench: Bench) -> None:
    program = start(bench, COUNTERS)
    for number in range(1, UPDATES + 1):
        update(bench, program, number % 3 + 1)
    assert program.end() == 0, program.output()
    found = re.fullmatch(r"calls (\d+) static (\d+) exported (\d+) exact threads 8", program.lines[-1])
    assert found, program.output()
    assert int(found[1]) > UPDATES and found[1] == found[2] == found[3]


def test_a_waiter_on_a_mutex_survives_the_update(bench: Bench) -> None:
    program = start(bench, WAITER)
    program.wait_for("waiting")
    update(bench, program, 2)
    assert "through" not in program.lines
    program.ask("r")
    program.wait_for("through")
    assert program.end() == 0
