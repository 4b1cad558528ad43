"""Programs for other machines, which an emulator runs (qemu-user): a thread of live.so's updates them, from inside."""

import subprocess
from pathlib import Path

import pytest

from tests.harness import EMULATED, Bench, apart, wait_until
from tests.integration import test_moved_variables as moved

PROGRAMS = Path(__file__).parent / "programs"
USUAL = [("gcc", ("-O2", "-s")), ("gcc", ("-O0", "-s")), ("clang", ("-O2", "-s"))]
GUARDED = ("-mbranch-protection=standard", "-mno-outline-atomics", "-nostartfiles", "-Wl,-z,force-bti")
UNCOMPRESSED = ("-march=rv64g", "-mabi=lp64d")
BUILDS = [
    *((machine, *build) for machine in EMULATED for build in USUAL),
    ("aarch64", "gcc", ("-O2", "-g", *GUARDED)),
    ("riscv64", "gcc", ("-O2", "-g", *UNCOMPRESSED)),
]
"""Machine, compiler and options."""
ALWAYS = [BUILDS[0], BUILDS[-2], ("riscv64", *USUAL[0]), ("riscv64", *USUAL[2])]


def _is_always(machine: str, compiler: str, flags: tuple[str, ...]) -> bool:
    return any((machine, compiler) == it[:2] and set(it[2]) <= set(flags) for it in ALWAYS)


def _by(builds: list[tuple[str, str, tuple[str, ...]]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("emulated_bench", "compiler", "flags"),
        [pytest.param(*it, marks=() if _is_always(*it) else pytest.mark.further) for it in builds],
        indirect=["emulated_bench"],
        ids=lambda it: it if isinstance(it, str) else "".join(it),
    )


# code of clang's for RISC-V leaves it open which variables are new there
REACHED = [
    (machine, compiler, apart(machine, compiler, flags))
    for machine, compiler, flags in BUILDS
    if (machine, compiler) != ("riscv64", "clang")
]
by_build, by_build_apart = _by(BUILDS), _by(REACHED)


@pytest.fixture
def bench(emulated_bench: Bench) -> Bench:
    return emulated_bench


def build(
    bench: Bench, source: str | Path, name: str, compiler: str, flags: tuple[str, ...], versions: int = 3
) -> None:
    for version in range(1, versions + 1):
        options = ("-fPIC", "-shared", f"-Wl,-soname,{name}", f"-DVERSION={version}", *flags)
        bench.compile(source, f"{version}/{name}", *options, compiler=compiler)
    bench.link(f"1/{name}", name)


@by_build
def test_variables_keep_their_contents_wherever_they_lie(bench: Bench, compiler: str, flags: tuple[str, ...]) -> None:
    build(bench, moved.LIBRARY, "libmoved.so", compiler, flags)
    program = moved.start(bench)
    total, exported, third, calls = 1000, 5, 3, 10
    # clang for RISC-V forms both numbers of 64 bits in registers, where one is taken for a variable that is gone
    is_refused = bench.machine == "riscv64" and compiler == "clang"
    for version in (2, 3, 2, 1, 2, 1) if is_refused else (2, 3, 1, 3, 2, 1):
        bench.update(f"{version}/libmoved.so", "libmoved.so", program.pid)
        total, exported, third, calls = total + 7, exported + 1, third + 1, calls + (version > 1)
        shown, same = moved.ask(program)
        own, ratio = (calls if version > 1 else 0), "2.5" if version == 3 else "1.5"
        assert shown == f"version {version}: renamed {total} {exported} [1 2 {third}] {ratio} own {own}"
        assert same == f"the same: 1 {exported}"
    assert program.end() == 0
    assert "hits exact" in program.lines


ASKER = """
#include <stdio.h>
void change_and_show(int);
int main(void)
{
	char line[99];
	for (int at = 0; fgets(line, sizeof line, stdin); at++)
		change_and_show(at);
	return 0;
}
"""


@pytest.mark.parametrize("later", [2, 3])
@by_build_apart
def test_what_lies_too_far_for_an_instruction_is_reached_by_a_detour(
    bench: Bench, compiler: str, flags: tuple[str, ...], later: int
) -> None:
    """New variables of all sizes lie among old ones, and code reaches all from one address. A program of all versions
    in one says what must come out."""
    versions = (1, later, 1, later, 1)
    asked = "".join(f"{it}\n" for it in versions)
    subprocess.run(["gcc", "-DMODEL", str(PROGRAMS / "kinds.c"), "-o", bench.folder / "model"], check=True)
    model = subprocess.run([bench.folder / "model"], input=asked, capture_output=True, text=True, check=True)
    build(bench, PROGRAMS / "kinds.c", "libkinds.so", compiler, ("-g", *(it for it in flags if it != "-s")))
    bench.compile(ASKER, "asker", "./libkinds.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./asker")
    bench.library(program.pid, "libkinds.so")
    for number, version in enumerate(versions):
        if number:
            bench.update(f"{version}/libkinds.so", "libkinds.so", program.pid)
        program.ask("")
        program.wait_for(f"version {version}: ", number)
    assert program.end() == 0
    assert program.lines == model.stdout.splitlines()


REMEMBERED = """
#include <stdlib.h>
#include <string.h>
struct item { const char *text; int (*call)(int); struct item *next; };
static const char empty[1] = "";
static struct item *first;
static int made;
static int work(int number) { return number * 10 + VERSION; }
static int other(int number) { made += VERSION; return work(number) + VERSION; }
void add(int which)
{
	struct item *it = malloc(sizeof *it);
	it->text = empty, it->call = which ? work : other, it->next = first, first = it;
}
int (*worker(void))(int) { return work; }
int known(void)
{
	int found = 0;
	for (struct item *it = first; it; it = it->next)
		found += it->text == empty && (it->call == work || it->call == other);
	return found;
}
int run(int number)
{
	int sum = 0;
	for (struct item *it = first; it; it = it->next)
		sum += it->call(number);
	return sum;
}
int version(void) { return VERSION; }
"""

REMEMBERING = """
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
void add(int);
int (*worker(void))(int);
int known(void), run(int), version(void);
static atomic_int ended, wrong;
static int (*remembered)(int);
static void *call(void *unused)
{
	while (!ended) {
		int found = remembered(5);
		wrong += found < 51 || found > 53;
	}
	return unused;
}
int main(void)
{
	char line[99];
	pthread_t threads[4];
	remembered = worker();
	add(0), add(1);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, call, NULL);
	while (fgets(line, sizeof line, stdin)) {
		add(0);
		printf("version %d: known %d, run %d, worker %d, %s\\n", version(), known(), run(1), remembered(1),
			remembered == worker() ? "the same" : "another");
		fflush(stdout);
	}
	ended = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	printf("wrong %d\\n", wrong);
	return 0;
}
"""


@by_build
def test_remembered_addresses_lead_to_the_version_that_runs(
    bench: Bench, compiler: str, flags: tuple[str, ...]
) -> None:
    build(bench, REMEMBERED, "libitems.so", compiler, flags)
    bench.compile(REMEMBERING, "program", "./libitems.so", "-Wl,-rpath,$ORIGIN", "-pthread")
    program = bench.run("./program")
    bench.library(program.pid, "libitems.so")
    for items, version in enumerate((2, 3, 1, 3, 2, 1) * 3, start=3):
        bench.update(f"{version}/libitems.so", "libitems.so", program.pid)
        program.ask("")
        run = items * (10 + version) + (items - 1) * version
        facts = f"known {items}, run {run}, worker {10 + version}, the same"
        program.wait_for(f"version {version}: {facts}", items - 3)
    assert program.end() == 0
    assert "wrong 0" in program.lines


THREADS = """
static __thread int calls = 10;
static __thread long total = 1000;
__thread int exported = 5;
#if VERSION == 3
static __thread int later = 30;
#endif
int count(void) { return calls += VERSION; }
long add(int number) { return total += number; }
int *place(void) { return &exported; }
int newest(void)
{
#if VERSION == 3
	return ++later;
#else
	return VERSION;
#endif
}
"""

THREADED = """
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
int count(void), *place(void), newest(void);
long add(int);
static sem_t begin[2], done[2];
static int *places[2];
static void *serve(void *argument)
{
	long number = (long)argument;
	places[number] = place();
	for (;;) {
		sem_wait(&begin[number]);
		printf("%ld: %d %ld %d %s\\n", number, count(), add((int)number + 1), newest(),
			place() == places[number] && ++*place() > 5 ? "the same" : "another");
		fflush(stdout);
		sem_post(&done[number]);
	}
	return NULL;
}
int main(void)
{
	char line[99];
	pthread_t threads[2];
	for (long i = 0; i < 2; i++)
		sem_init(&begin[i], 0, 0), sem_init(&done[i], 0, 0), pthread_create(&threads[i], NULL, serve, (void *)i);
	while (fgets(line, sizeof line, stdin))
		for (int i = 0; i < 2; i++)
			sem_post(&begin[i]), sem_wait(&done[i]);
	return 0;
}
"""


MODELS = [(machine, model) for machine in EMULATED for model in ("trad", "initial-exec")]


@pytest.mark.parametrize(("emulated_bench", "model"), [("aarch64", "desc"), *MODELS], indirect=["emulated_bench"])
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_each_thread_keeps_its_own_variables(bench: Bench, model: str, level: str) -> None:
    if model == "initial-exec":  # another one would have no place at a fixed distance: restart
        flags, versions = ["-ftls-model=initial-exec"], [2, 1, 2]
    else:
        flags = [f"-mtls-dialect={model}"] if bench.machine == "aarch64" else []  # RISC-V's has one only before gcc 14
        versions = [2, 1, 2, 3, 1, 3] if level == "-O0" else [2, 1, 2]
    build(bench, THREADS, "libthreads.so", "gcc", (level, "-g", *flags))
    bench.compile(THREADED, "program", "./libthreads.so", "-Wl,-rpath,$ORIGIN", "-pthread")
    program = bench.run("./program")
    bench.library(program.pid, "libthreads.so")
    calls, later = 10, 30
    for number, version in enumerate(versions, start=1):
        bench.update(f"{version}/libthreads.so", "libthreads.so", program.pid)
        calls, later = calls + version, later + (version == 3)
        program.ask("")
        for thread in (0, 1):
            facts = f"{calls} {1000 + number * (thread + 1)} {later if version == 3 else version} the same"
            program.wait_for(f"{thread}: {facts}", 2 * (number - 1))
    if model != "initial-exec" and level == "-O2":  # code gets from one variable to the next by numbers of its own
        bench.link("3/libthreads.so", "libthreads.so")
        bench.wait_for_result(program.pid, "libthreads.so", "refused")
    assert program.end() == 0


def test_a_program_that_would_have_to_be_visited_is_not_served_and_status_says_why(bench: Bench) -> None:
    bench.compile("#include <unistd.h>\nint main(void) { return pause(); }", "program")
    program = bench.run("./program", LIVE_MODE="visited")

    def note() -> str:
        return next((str(it["note"]) for it in bench.status() if it["pid"] == program.pid), "")

    wait_until(lambda: "LIVE_MODE=resident" in note(), "what to do")
    assert program.process.poll() is None
