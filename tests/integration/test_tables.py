"""Constant tables of pointers keep their address, and lead to the code of the version that runs."""

import pytest

from tests.harness import Bench, Program

IN_C = """
#include <stdio.h>
#include <stdlib.h>
static volatile const int version = VERSION;
struct shape;
struct methods {
	const char *name;
	long (*area)(const struct shape *);
	void (*grow)(struct shape *, long);
};
struct shape {
	const struct methods *methods;
	long side, calls;
};
#if VERSION > 1
static long none(const struct shape *it) { return -version * it->side; }
static const struct methods empty = {"empty", none, 0};
const void *empty_methods(void) { return &empty; }
#endif
static long square_area(const struct shape *it) { return version * 1000000 + it->side * it->side; }
static long circle_area(const struct shape *it) { return version * 2000000 + 3 * it->side * it->side; }
static void square_grow(struct shape *it, long by) { it->side += by, it->calls += version; }
static void circle_grow(struct shape *it, long by) { it->side += 2 * by, it->calls -= version; }
LINKAGE const struct methods square = {"square", square_area, square_grow};
LINKAGE const struct methods circle = {"circle", circle_area, circle_grow};
static const struct methods *const known[] = {&square, &circle};
static const struct methods *preferred = &circle;
struct shape *shape_new(int kind, long side)
{
	struct shape *it = calloc(1, sizeof *it);
	it->methods = kind ? &circle : &square;
	it->side = side;
	return it;
}
int shape_is_square(const struct shape *it) { return it->methods == &square; }
int shape_is_preferred(const struct shape *it) { return it->methods == preferred; }
int shape_is_known(const struct shape *it)
{
	int found = 0;
	for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
		found += known[i] == it->methods;
	return found;
}
long shape_area(struct shape *it)
{
	it->methods->grow(it, 1);
	return it->methods->area(it);
}
void shape_show(struct shape *it)
{
	printf("version %d: %s %ld %d%d%d\\n", version, it->methods->name, shape_area(it), shape_is_square(it),
		shape_is_preferred(it), shape_is_known(it));
	fflush(stdout);
}
"""

IN_CPP = """
#include <cstdio>
#include <typeinfo>
static volatile const int version = VERSION;
#if VERSION > 1
struct Other { virtual long area() { return -1; } virtual ~Other() {} };
Other *make_other() { return new Other; }
#endif
struct Shape {
	long side, calls = 0;
	explicit Shape(long side) : side(side) {}
	virtual long area() = 0;
	virtual void grow(long by) { side += by, calls += version; }
	virtual ~Shape() {}
};
struct Square : Shape {
	using Shape::Shape;
	long area() override { return version * 1000000 + side * side; }
};
struct Circle : Shape {
	using Shape::Shape;
	long area() override { return version * 2000000 + 3 * side * side; }
	void grow(long by) override { side += 2 * by, calls -= version; }
};
extern "C" Shape *shape_new(int kind, long side)
{
	if (kind)
		return new Circle(side);
	return new Square(side);
}
extern "C" void shape_show(Shape *it)
{
	it->grow(1);
	printf("version %d: %s %ld %d%d%d\\n", version, dynamic_cast<Circle *>(it) ? "circle" : "square", it->area(),
		typeid(*it) == typeid(Square), typeid(*it) == typeid(Circle), it == dynamic_cast<void *>(it));
	fflush(stdout);
}
"""

PROGRAM = """
#include <stdio.h>
struct shape;
struct shape *shape_new(int, long);
void shape_show(struct shape *);
int main(void)
{
	char line[100];
	struct shape *first[2] = {shape_new(0, 10), shape_new(1, 10)};
	while (fgets(line, sizeof line, stdin)) {
		struct shape *fresh[2] = {shape_new(0, 10), shape_new(1, 10)};
		for (int i = 0; i < 2; i++)
			shape_show(first[i]), shape_show(fresh[i]);
		printf("end\\n");
		fflush(stdout);
	}
	return 0;
}
"""


def ask(program: Program) -> list[str]:
    seen = len(program.lines)
    program.ask("")
    program.wait_for("end", seen)
    return program.lines[seen:-1]


def expected(version: int, rounds: int) -> list[str]:
    """What a square and a circle that were made at the start, and fresh ones, show after so many rounds."""
    lines = []
    for kind in (0, 1):
        for grown in (rounds, 1):
            side = 10 + grown * (kind + 1)
            area = version * (kind + 1) * 1000000 + (1, 3)[kind] * side * side
            lines.append(f"version {version}: {('square', 'circle')[kind]} {area} {('101', '011')[kind]}")
    return lines


@pytest.mark.parametrize(
    ("source", "compiler", "flags"),
    [
        (IN_C, "gcc", ("-O0", "-s", "-DLINKAGE=static")),
        (IN_C, "gcc", ("-O2", "-s", "-DLINKAGE=static")),
        (IN_C, "gcc", ("-O2", "-g", "-DLINKAGE=static", "-Wl,-z,now")),
        (IN_C, "clang", ("-O2", "-s", "-DLINKAGE=static")),
        (IN_C, "gcc", ("-O2", "-s", "-DLINKAGE=")),
        (IN_CPP, "g++", ("-O0", "-s")),
        (IN_CPP, "g++", ("-O2", "-s", "-fno-devirtualize")),
        (IN_CPP, "g++", ("-O2", "-s", "-fno-devirtualize", "-fvisibility=hidden", "-DHIDDEN")),
        (IN_CPP, "clang++", ("-O2", "-g")),
    ],
    ids=lambda it: "" if isinstance(it, str) and "\n" in it else "".join(it),
)
def test_objects_that_were_made_before_call_the_version_that_runs(
    bench: Bench, source: str, compiler: str, flags: tuple[str, ...]
) -> None:
    if "-DHIDDEN" in flags:
        source = source.replace('extern "C" ', 'extern "C" __attribute__((visibility("default"))) ')
    for version in (1, 2, 3):
        options = ("-w", "-fPIC", "-shared", "-Wl,-soname,libshape.so", f"-DVERSION={version}", *flags)
        bench.compile(source, f"libshape.{version}.so", *options, compiler=compiler)
    bench.link("libshape.1.so", "libshape.so")
    bench.compile(PROGRAM, "program", "./libshape.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libshape.so")
    for rounds, version in enumerate((1, 2, 3, 2, 1, 3, 1), start=1):
        bench.update(f"libshape.{version}.so", "libshape.so", program.pid)
        assert ask(program) == expected(version, rounds)
        has_no_stale = version > 1 or rounds == 1  # what only the later versions have stays with them
        bench.wait_for_library(program.pid, "libshape.so", stale_functions=lambda it: (not it) == has_no_stale)  # noqa: B023
    assert program.end() == 0


PLUGIN_HOST = """
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
struct shape;
int main(void)
{
	char line[100];
	void *plugin = NULL;
	struct shape *first[2] = {0};
	while (fgets(line, sizeof line, stdin)) {
		if (line[0] == 'u' && plugin)
			plugin = (dlclose(plugin), NULL);
		if (!plugin)
			plugin = dlopen("./libshape.so", RTLD_NOW | RTLD_LOCAL), first[0] = NULL;
		struct shape *(*make)(int, long) = (struct shape *(*)(int, long))dlsym(plugin, "shape_new");
		void (*show)(struct shape *) = (void (*)(struct shape *))dlsym(plugin, "shape_show");
		if (!first[0])
			first[0] = make(0, 10), first[1] = make(1, 10);
		for (int i = 0; i < 2; i++)
			show(first[i]), show(make(i, 10));
		printf("end\\n");
		fflush(stdout);
	}
	return 0;
}
"""


@pytest.mark.parametrize("linkage", ["static", ""], ids=["static", "exported"])
def test_a_plugin_keeps_its_tables_until_it_is_unloaded(bench: Bench, linkage: str) -> None:
    for version in (1, 2, 3):
        options = ("-O2", "-s", "-w", "-fPIC", "-shared", f"-DVERSION={version}", f"-DLINKAGE={linkage}")
        bench.compile(IN_C, f"libshape.{version}.so", *options)
    bench.link("libshape.1.so", "libshape.so")
    bench.compile(PLUGIN_HOST, "program", "-w")
    program = bench.run("./program")
    assert ask(program) == expected(1, 1)
    bench.library(program.pid, "libshape.so")
    for rounds, version in enumerate((2, 3, 1, 2), start=2):
        bench.update(f"libshape.{version}.so", "libshape.so", program.pid)
        assert ask(program) == expected(version, rounds)
    seen = len(program.lines)
    program.ask("unload")
    program.wait_for("end", seen)
    assert program.lines[seen:-1] == expected(2, 1)
    bench.update("libshape.3.so", "libshape.so", program.pid)
    assert ask(program) == expected(3, 2)
    assert program.end() == 0
