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
long add_up(int n)
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
long all_hits(void), add_up(int);
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
			if (hit(), ++self->hits % 20000 == 0)
				usleep(5000); /* others need the processors as well */
		add_up(self->name[0] - '0');
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
			memset(it, 0, sizeof *it);
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
		add_up(100);
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


def build_program(bench: Bench, is_loaded_later: bool) -> None:
    linked = ("-O2", "-pthread", "-L.", "-lmoved", "-Wl,-rpath,$ORIGIN")
    if is_loaded_later:
        bench.compile(PROGRAM, "libworkers.so", "-fPIC", "-shared", "-Dmain=work_for_ever", *linked)
        bench.compile(LOADER, "program", "-O2", "-pthread")
    else:
        bench.compile(PROGRAM, "program", *linked)


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


DESCRIPTORS = "-mtls-dialect=gnu2"
MODELS = [
    (compiler, level, f"-ftls-model={model}")
    for compiler, level, model in itertools.product(
        ("gcc", "clang"), ("-O0", "-O2"), ("global-dynamic", "local-dynamic")
    )
] + [("gcc", level, DESCRIPTORS) for level in ("-O0", "-O2", "-O3")]


@pytest.mark.parametrize(("compiler", "level", "model"), MODELS, ids=[" ".join(it) for it in MODELS])
@pytest.mark.parametrize("is_stripped", [False, True], ids=["named", "stripped"])
def test_each_thread_keeps_its_variables_from_version_to_version(
    bench: Bench, compiler: str, level: str, model: str, is_stripped: bool
) -> None:
    build(bench, compiler, level, model, *(["-s"] if is_stripped else []))
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


COUNTING = """
#include <stdio.h>
static __thread int calls;
__thread long exported = 5;
static __thread struct { int numbers[9]; } last;
int *limit(int at) { return &last.numbers[at]; }
int show(char *line, unsigned long size)
{
	last.numbers[calls % 9] += VERSION;
	exported += calls++;
	return snprintf(line, size, "version %d: %d %ld %d", VERSION, calls, exported, last.numbers[1]);
}
static __thread long hits;
void hit(void) { hits++; }
long all_hits(void) { return hits; }
void choose(int at) { last.numbers[at] = 0; }
void call_it(const char *text) { calls += !text; }
long add_up(int n) { return n; }
"""


@pytest.mark.parametrize("with_descriptors", [{1, 3}, {2}, {2, 3}], ids=str)
@pytest.mark.parametrize("is_loaded_later", [False, True], ids=["at start", "later"])
def test_versions_ask_for_their_variables_in_different_ways(
    idle_bench: Bench, with_descriptors: set[int], is_loaded_later: bool
) -> None:
    """With descriptors or without: a block's place is a fixed one, or not, as the first version is."""
    bench = idle_bench
    bench.environment["LIVE_POLICY"] = "elf"  # of code that is made in another way, too little can be compared
    bench.start_daemon()
    for version in (1, 2, 3):
        dialect = [DESCRIPTORS] if version in with_descriptors else []
        flags = ("-O2", "-fPIC", "-shared", "-s", "-Wl,-soname,libmoved.so", f"-DVERSION={version}", *dialect)
        bench.compile(COUNTING, f"libmoved.{version}.so", *flags)
    bench.link("libmoved.1.so", "libmoved.so")
    build_program(bench, is_loaded_later)
    program = bench.run("./program")
    bench.library(program.pid, "libmoved.so")
    exported = 5
    for calls, version in enumerate((1, 2, 3, 1, 3, 2), start=1):
        bench.link(f"libmoved.{version}.so", "libmoved.so")
        bench.wait_for_version(f"libmoved.{version}.so", "libmoved.so", program.pid)
        exported += calls - 1
        second = 2 if calls > 1 else 0
        line = f"version {version}: {calls} {exported} {second}"
        assert ask(program, "thread" if calls == 1 else "") == [line, line]
    assert ask(program, "thread")[1:] == ["version 2: 1 5 0", "version 2: 7 26 2"]


LOADER = """
#include <dlfcn.h>
int main(void)
{
	void *handle = dlopen("./libworkers.so", RTLD_NOW);
	return ((int (*)(void))dlsym(handle, "work_for_ever"))();
}
"""


@pytest.mark.parametrize("flags", [(), (DESCRIPTORS,)], ids=["", "descriptors"])
def test_blocks_of_a_library_that_is_loaded_later_a_child_and_a_new_daemon(
    bench: Bench, flags: tuple[str, ...]
) -> None:
    build(bench, "gcc", "-O2", "-s", *flags)
    build_program(bench, is_loaded_later=True)
    program = bench.run("./program")
    bench.library(program.pid, "libmoved.so")
    expected, names = Model(), ["1-thread", "main"]
    assert ask(program, "thread") == [expected.line(name, 1) for name in names]
    bench.update("libmoved.2.so", "libmoved.so", program.pid)
    assert ask(program) == [expected.line(name, 2) for name in names]
    bench.kill_daemon()
    bench.start_daemon()
    bench.update("libmoved.3.so", "libmoved.so", program.pid)
    assert ask(program) == [expected.line(name, 3) for name in names]
    assert ask(program, "fork") == [expected.line("main", 3)]
    (child,) = program.children(1)
    bench.update("libmoved.2.so", "libmoved.so", child)
    assert ask(program) == [expected.line("main", 2)]
    del expected.threads["1-thread"]
    assert ask(program, "thread") == [expected.line(name, 2) for name in names]
    bench.update("libmoved.1.so", "libmoved.so", child)
    assert ask(program) == [expected.line(name, 1) for name in names]


IN_CXX = """
#include <cstdio>
#include <string>
#if VERSION > 1
thread_local std::string added = "added";
thread_local long shifts[8] = {1};
#endif
struct greeting {
	std::string text = "nobody";
	~greeting() { std::printf("%d: goodbye %s\\n", VERSION, text.c_str()), std::fflush(stdout); }
};
static thread_local int calls;
static thread_local greeting last;
#if VERSION > 1
__attribute__((noinline)) static void count() { added += std::to_string(++shifts[0]); }
#endif
extern "C" void greet(const char *name)
{
	++calls;
#if VERSION > 1
	count();
#endif
	last.text += name;
	std::printf("%d: hello %s, %d\\n", VERSION, last.text.c_str(), calls);
	std::fflush(stdout);
}
"""

GREETERS = """
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
void greet(const char *);
static FILE *ways[2][2];
static void *work(void *unused)
{
	char line[99];
	while (fgets(line, sizeof line, ways[0][0]) && line[0] != 'e')
		line[strcspn(line, "\\n")] = 0, greet(line);
	return unused;
}
int main(void)
{
	int pipes[2];
	char line[99];
	pthread_t thread;
	pipe(pipes);
	ways[0][0] = fdopen(pipes[0], "r"), ways[0][1] = fdopen(pipes[1], "w");
	pthread_create(&thread, NULL, work, NULL);
	while (fgets(line, sizeof line, stdin)) {
		fputs(line, ways[0][1]), fflush(ways[0][1]);
		if (line[0] == 'e')
			pthread_join(thread, NULL), puts("joined"), fflush(stdout);
	}
	return 0;
}
"""


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_a_threads_objects_are_destroyed_once_wherever_they_lie(bench: Bench, compiler: str) -> None:
    flags = ("-x", "c++", "-O2", "-fPIC", "-shared", "-Wl,-soname,libgreet.so")
    for version in (1, 2):
        bench.compile(IN_CXX, f"libgreet.{version}.so", f"-DVERSION={version}", *flags, compiler=compiler)
    bench.link("libgreet.1.so", "libgreet.so")
    bench.compile(GREETERS, "program", "-w", "-pthread", "-L.", "-lgreet", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libgreet.so")
    program.ask("-ann")
    program.wait_for("1: hello nobody-ann, 1")
    result = bench.update_or_refusal("libgreet.2.so", "libgreet.so", program.pid)
    version = 2 if result == "updated" else 1
    program.ask("-bob")
    program.wait_for(f"{version}: hello nobody-ann-bob, 2")
    program.ask("end")
    program.wait_for("joined")
    assert [line for line in program.lines if "goodbye" in line] == [f"{version}: goodbye nobody-ann-bob"]
    assert program.end() == 0
    assert result == "updated"
