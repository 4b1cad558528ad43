"""Updates to versions whose variables lie elsewhere: each keeps its home, and new ones live in the new version."""

import re
import shutil

import pytest

from tests.harness import Bench, Program
from tests.packages import LIBNFS, LIBRARIES, PYTHON, package

LIBRARY = """
#include <stdatomic.h>
#include <stdio.h>
#if VERSION > 1
static int calls = 10;
static char padding[3000];
char *pad(int at) { return &padding[at]; }
#endif
#if VERSION == 2
int exported = 5;
static atomic_long hits;
#endif
static long total = 1000;
static int limits[3] = {1, 2, 3};
static int *chosen = &limits[1];
#if VERSION != 2
static atomic_long hits;
int exported = 5;
#endif
static const char *name = "unnamed";
static double ratio = VERSION == 3 ? 2.5 : 1.5;
void hit(void) { atomic_fetch_add(&hits, 1); }
long all_hits(void) { return atomic_load(&hits); }
void choose(int at) { chosen = &limits[at]; }
void call_it(const char *text) { name = text; }
int *limit(int at) { return &limits[at]; }
long step(int n)
{
	total += n;
	exported++;
	*chosen += 1;
	return total;
}
void show(void)
{
	int own = 0;
#if VERSION > 1
	own = ++calls;
#endif
	printf("version %d: %s %ld %d [%d %d %d] %.1f own %d\\n", VERSION, name, total, exported, limits[0], limits[1],
		limits[2], ratio, own);
	fflush(stdout);
}
"""

PROGRAM = """
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
void hit(void), show(void), choose(int), call_it(const char *);
long all_hits(void), step(int);
int *limit(int);
extern int exported;
static atomic_int ended;
static atomic_long made;
static void *count(void *unused)
{
	while (!ended)
		hit(), atomic_fetch_add(&made, 1);
	return unused;
}
int main(void)
{
	char line[100];
	pthread_t threads[4];
	int *second = limit(1);
	call_it("renamed");
	choose(2);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, count, NULL);
	while (fgets(line, sizeof line, stdin)) {
		if (strcmp(line, "fork\\n") == 0 && fork() > 0) {
			wait(NULL);
			return 0;
		}
		step(7);
		show();
		printf("the same: %d %d\\n", second == limit(1), exported);
		fflush(stdout);
	}
	ended = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	printf("hits %s\\n", all_hits() == made ? "exact" : "lost");
	return 0;
}
"""


def build(bench: Bench, compiler: str, level: str, *flags: str) -> None:
    options = (level, "-fPIC", "-shared", "-Wl,-soname,libmoved.so", *flags)
    for version in (1, 2, 3):
        bench.compile(LIBRARY, f"libmoved.{version}.so", f"-DVERSION={version}", *options, compiler=compiler)
    bench.link("libmoved.1.so", "libmoved.so")


def start(bench: Bench, *flags: str) -> Program:
    bench.compile(PROGRAM, "program", "./libmoved.so", "-Wl,-rpath,$ORIGIN", "-pthread", *flags)
    program = bench.run("./program")
    bench.library(program.pid, "libmoved.so")
    return program


def ask(program: Program, line: str = "") -> tuple[str, str]:
    """What the library and the program show."""
    seen = len(program.lines)
    program.ask(line)
    same = program.wait_for("the same", seen)
    return program.wait_for("version", seen), same


@pytest.mark.parametrize(
    ("program_flags", "compiler", "level", "symbols"),
    [
        (("-no-pie",), "gcc", "-O2", "-g"),
        (("-no-pie",), "clang", "-O2", "-s"),
        (("-pie", "-fPIE"), "gcc", "-O0", "-s"),
        (("-pie", "-fPIE"), "gcc", "-O2", "-g"),
        (("-pie", "-fPIE"), "clang", "-O2", "-s"),
        *(
            pytest.param(*it, marks=pytest.mark.further)
            for it in (
                (("-no-pie",), "gcc", "-O0", "-s"),
                (("-no-pie",), "clang", "-O2", "-g"),
                (("-pie", "-fPIE"), "clang", "-O2", "-g"),
            )
        ),
    ],
)
def test_variables_keep_their_contents_wherever_they_lie(
    bench: Bench, program_flags: tuple[str, ...], compiler: str, level: str, symbols: str
) -> None:
    build(bench, compiler, level, symbols)
    program = start(bench, *program_flags)
    calls, total, exported, third = 10, 1000, 5, 3
    for version in (1, 2, 3, 2, 1, 3, 1):
        bench.update(f"libmoved.{version}.so", "libmoved.so", program.pid)
        ratio = "2.5" if version == 3 else "1.5"  # nobody changed it: each version's own initial value
        total, exported, third, calls = total + 7, exported + 1, third + 1, calls + (version > 1)
        shown, same = ask(program)
        own = calls if version > 1 else 0
        assert shown == f"version {version}: renamed {total} {exported} [1 2 {third}] {ratio} own {own}"
        assert same == f"the same: 1 {exported}"
    assert program.end() == 0
    assert program.lines[-1] == "hits exact"


@pytest.mark.own_machine
def test_a_new_daemon_and_a_child_know_where_the_variables_live(bench: Bench) -> None:
    build(bench, "gcc", "-O0", "-s")
    program = start(bench)
    bench.update("libmoved.2.so", "libmoved.so", program.pid)
    assert ask(program)[0] == "version 2: renamed 1007 6 [1 2 4] 1.5 own 11"
    bench.kill_daemon()
    bench.start_daemon()
    bench.update("libmoved.3.so", "libmoved.so", program.pid)
    assert ask(program)[0] == "version 3: renamed 1014 7 [1 2 5] 2.5 own 12"
    assert ask(program, "fork")[0] == "version 3: renamed 1021 8 [1 2 6] 2.5 own 13"
    (child,) = program.children(1)
    bench.update("libmoved.2.so", "libmoved.so", child)
    assert ask(program)[0] == "version 2: renamed 1028 9 [1 2 7] 1.5 own 14"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("static int limits[3] = {1, 2, 3};", "static long limits[3] = {1, 2, 3};"), ""),
        (("static int limits[3] = {1, 2, 3};", "static int limits[9] = {1, 2, 3};"), ""),
        (("int exported = 5;", "long exported = 5;"), ""),
    ],
)
def test_a_variable_of_another_size_is_refused(bench: Bench, change: tuple[str, str], reason: str) -> None:
    build(bench, "gcc", "-O2", "-s")
    text = LIBRARY.replace(*change)
    assert text != LIBRARY
    flags = ["-O2", "-s", "-fPIC", "-shared", "-w", "-Wl,-soname,libmoved.so", "-DVERSION=3"]
    flags.append("-Wno-incompatible-pointer-types")  # which is an error since gcc 14
    bench.compile(text, "libmoved.4.so", *flags)
    program = start(bench)
    bench.link("libmoved.4.so", "libmoved.so")
    refused = bench.wait_for_result(program.pid, "libmoved.so", "refused")
    assert reason in refused["reason"]
    assert ask(program)[0] == "version 1: renamed 1007 6 [1 2 4] 1.5 own 0"


EMBEDDING = """
#include <dlfcn.h>
#include <stdio.h>
int Py_Initialize(void), PyRun_SimpleString(const char *);
const char *Py_GetVersion(void);
int main(void)
{
	char line[1000];
	Py_Initialize();
	PyRun_SimpleString("import json, re, itertools, functools, collections\\n"
		"class Kept:\\n  def __init__(self): self.seen = collections.OrderedDict()\\n"
		"kept = Kept()\\n"
		"def work(n):\\n"
		"  kept.seen[n] = sum(map(len, re.findall('a+', 'aab' * n)))\\n"
		"  try: 1 / 0\\n"
		"  except ZeroDivisionError as error: text = str(error)\\n"
		"  return json.dumps([n, len(kept.seen), kept.seen[n], text, f'{n:>5}', sorted(kept.seen)[:2]])\\n");
	while (fgets(line, sizeof line, stdin)) {
		PyRun_SimpleString(line);
		fflush(stdout);
	}
	return 0;
}
"""


@pytest.mark.own_machine
def test_python_knows_its_own_functions_again(idle_bench: Bench) -> None:
    """Types hold `slot_tp_new` in the heap; libpython asks them whether it is that one, and takes a class for unsafe
    where it is not: with an address of the new version's, `import fractions` raised a TypeError."""
    bench = idle_bench
    bench.start_daemon()
    name = "libpython3.11.so.1.0"
    versions = [package("libpython3.11", version) / LIBRARIES / name for version in PYTHON]
    for number, file in enumerate(versions):
        shutil.copy(file, bench.folder / f"{number}.so")
    bench.link("0.so", name)
    for part in ("libpython3.11-minimal", "libpython3.11-stdlib"):
        source = package(part, PYTHON[0]) / "usr/lib/python3.11"
        shutil.copytree(source, bench.folder / "home/lib/python3.11", symlinks=True, dirs_exist_ok=True)
    bench.compile(EMBEDDING, "program", f"./{name}", "-w", "-Wl,-rpath,$ORIGIN")
    program = bench.run(
        "./program", PYTHONHOME=str(bench.folder / "home"), PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1"
    )
    bench.library(program.pid, name)
    for number in range(1, 100):
        program.ask(f"print(work({number}))")
    program.wait_for("[99, ")
    bench.update("1.so", name, program.pid)
    program.ask("print(work(100))")
    assert program.wait_for("[100, ") == '[100, 100, 200, "division by zero", "  100", [1, 2]]'
    program.ask("import fractions, threading; print('imported', fractions.Fraction(3, 2) * 2)")
    assert program.wait_for("imported") == "imported 3"
    assert program.end() == 0, program.output()
    assert not re.search(r"Error|Traceback", program.output())


MOUNTING = """
#include <stdio.h>
#include <string.h>
struct nfs_context;
struct nfs_url { char *server, *path, *file; };
struct nfs_context *nfs_init_context(void);
void nfs_destroy_context(struct nfs_context *), nfs_destroy_url(struct nfs_url *);
struct nfs_url *nfs_parse_url_dir(struct nfs_context *, const char *);
char *nfs_get_error(struct nfs_context *);
static int try(struct nfs_context *nfs, const char *url)
{
	struct nfs_url *found = nfs_parse_url_dir(nfs, url);
	int good = found && strcmp(found->server, "server") == 0 && strcmp(found->path, "/a/b") == 0 && !found->file;
	if (found)
		nfs_destroy_url(found);
	if (nfs_parse_url_dir(nfs, "http://server/a"))
		return 0;
	return good && strstr(nfs_get_error(nfs), "Invalid URL") != NULL;
}
int main(void)
{
	char line[100];
	struct nfs_context *kept = nfs_init_context();
	while (fgets(line, sizeof line, stdin)) {
		int good = 0;
		for (int i = 0; i < 500; i++) {
			struct nfs_context *nfs = nfs_init_context();
			good += try(nfs, "nfs://server/a/b?uid=7&version=4") && try(kept, "nfs://server/a/b");
			nfs_destroy_context(nfs);
		}
		printf("%d good for %s", good, line);
		fflush(stdout);
	}
	nfs_destroy_context(kept);
	return 0;
}
"""


@pytest.mark.own_machine
def test_a_real_library_goes_on_in_a_version_whose_variables_lie_elsewhere(bench: Bench) -> None:
    name = "libnfs.so.13"
    for number, version in enumerate(LIBNFS):
        shutil.copy(package("libnfs13", version) / LIBRARIES / name, bench.folder / f"{number}.so")
    bench.link("0.so", name)
    bench.compile(MOUNTING, "program", f"./{name}", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, name)
    for turn, number in enumerate((0, 1, 0, 1)):
        if turn:
            bench.update(f"{number}.so", name, program.pid)
        program.ask(f"turn {turn}")
        assert program.wait_for(f"turn {turn}") == f"500 good for turn {turn}"
    assert program.end() == 0, program.output()
