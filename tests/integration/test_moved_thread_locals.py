"""Updates to versions whose thread-local variables lie elsewhere: each thread keeps its own, and new ones get a block
of their own in each thread."""

import itertools

import pytest

from tests.harness import Bench, Program

LIBRARY = """
#include <stdio.h>
#if VERSION > 1
static __thread int calls = 10;
static __thread char padding[3000];
char *pad(int at) { return &padding[at]; }
#endif
#if VERSION == 2
__thread int exported = 5;
static __thread long hits;
#endif
static __thread long total = 1000;
static __thread int limits[3] = {1, 2, 3};
static __thread int *chosen;
#if VERSION != 2
static __thread long hits;
__thread int exported = 5;
#endif
static __thread const char *name;
#if VERSION == 3
static __thread struct { long count; double real; } last = {3, 0.5};
#endif
void hit(void) { hits++; }
long all_hits(void) { return hits; }
void choose(int at) { chosen = &limits[at]; }
void call_it(const char *text) { name = text; }
int *limit(int at) { return &limits[at]; }
long step(int n)
{
	total += n;
	exported++;
	if (chosen)
		*chosen += 1;
	return total;
}
__attribute__((noinline)) int called(void)
{
#if VERSION > 1
	return ++calls;
#else
	return 0;
#endif
}
__attribute__((noinline)) double later(int n)
{
#if VERSION == 3
	last.count += n, last.real *= 2;
	return (double)last.count + last.real;
#else
	return n;
#endif
}
int version(void) { return VERSION; }
int show(char *line, unsigned long size)
{
	int own = called();
	return snprintf(line, size, "version %d: %s %ld %d [%d %d %d] own %d %.2f", version(), name, total, exported,
		limits[0], limits[1], limits[2], own, later(1));
}
"""

PROGRAM = """
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
void hit(void), choose(int), call_it(const char *);
long all_hits(void), step(int);
int *limit(int), show(char *, unsigned long);
enum { MOST = 16 };
struct worker { sem_t asked, answered; char name[20], line[200]; long hits; int *second; };
static struct worker workers[MOST];
static void *work(void *argument)
{
	struct worker *self = argument;
	self->second = limit(1);
	call_it(self->name);
	for (;;) {
		while (sem_trywait(&self->asked) != 0)
			hit(), self->hits++;
		step(self->name[0] - '0');
		int size = show(self->line, sizeof self->line);
		if (self->second != limit(1) || self->hits != all_hits())
			snprintf(self->line + size, sizeof self->line - size, " LOST %ld of %ld", self->hits - all_hits(),
				self->hits);
		sem_post(&self->answered);
	}
	return NULL;
}
int main(void)
{
	char line[100];
	int made = 0;
	pthread_t thread;
	call_it("main");
	choose(2);
	while (fgets(line, sizeof line, stdin)) {
		if (strcmp(line, "fork\\n") == 0) {
			if (fork() > 0)
				return wait(NULL), 0;
			made = 0;
		} else if (strcmp(line, "thread\\n") == 0) {
			struct worker *it = &workers[made];
			sem_init(&it->asked, 0, 0), sem_init(&it->answered, 0, 0);
			snprintf(it->name, sizeof it->name, "%d-thread", made++ + 1);
			pthread_create(&thread, NULL, work, it);
		}
		for (int i = 0; i < made; i++) {
			sem_post(&workers[i].asked);
			while (sem_wait(&workers[i].answered) != 0)
				;
			puts(workers[i].line);
		}
		step(100);
		show(line, sizeof line);
		printf("%s\\nend\\n", line);
		fflush(stdout);
	}
	return 0;
}
"""


def build(bench: Bench, compiler: str, *flags: str) -> None:
    options = ("-fPIC", "-shared", "-Wl,-soname,libmoved.so", *flags)
    for version in (1, 2, 3):
        bench.compile(LIBRARY, f"libmoved.{version}.so", f"-DVERSION={version}", *options, compiler=compiler)
    bench.link("libmoved.1.so", "libmoved.so")


class Model:
    """What the program must say: its own reckoning of each thread's variables."""

    def __init__(self) -> None:
        self.threads: dict[str, dict[str, float]] = {}

    def line(self, name: str, version: int) -> str:
        own = self.threads.setdefault(
            name,
            {"total": 1000, "exported": 5, "chosen": 3, "calls": 10, "count": 3, "real": 0.5},
        )
        own["total"] += 100 if name == "main" else int(name.partition("-")[0])
        own["exported"] += 1
        if name == "main":
            own["chosen"] += 1
        if version > 1:
            own["calls"] += 1
        later = 1.0
        if version == 3:
            own["count"] += 1
            own["real"] *= 2
            later = own["count"] + own["real"]
        called = own["calls"] if version > 1 else 0
        return (
            f"version {version}: {name} {own['total']:.0f} {own['exported']:.0f} [1 2 {own['chosen']:.0f}] "
            f"own {called:.0f} {later:.2f}"
        )


def ask(program: Program, question: str = "") -> list[str]:
    before = len(program.lines)
    program.ask(question)
    program.wait_for("end", before)
    return program.lines[before:-1]


MODELS = [
    (compiler, level, model)
    for compiler, level, model in itertools.product(
        ("gcc", "clang"), ("-O0", "-O2"), ("global-dynamic", "local-dynamic")
    )
]


@pytest.mark.parametrize(("compiler", "level", "model"), MODELS, ids=[" ".join(it) for it in MODELS])
@pytest.mark.parametrize("is_stripped", [False, True], ids=["named", "stripped"])
def test_each_thread_keeps_its_variables_from_version_to_version(
    bench: Bench, compiler: str, level: str, model: str, is_stripped: bool
) -> None:
    build(bench, compiler, level, f"-ftls-model={model}", *(["-s"] if is_stripped else []))
    bench.compile(PROGRAM, "program", "-O2", "-pthread", "-L.", "-lmoved", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libmoved.so")
    expected, names = Model(), ["1-thread", "2-thread"]
    for name in names:
        ask(program, "thread")
        for known in [*names[: names.index(name) + 1], "main"]:
            expected.line(known, 1)
    for version in (2, 3, 2, 1, 3, 1, 2):
        bench.link(f"libmoved.{version}.so", "libmoved.so")
        bench.wait_for_version(f"libmoved.{version}.so", "libmoved.so", program.pid)
        assert ask(program) == [expected.line(name, version) for name in [*names, "main"]]
        names.append(f"{len(names) + 1}-thread")  # a thread that starts after the update
        assert ask(program, "thread") == [expected.line(name, version) for name in [*names, "main"]]
    assert program.end() == 0
