"""What C++ needs of the linker and the run-time goes on working between versions of a library."""

import pytest

from tests.harness import Bench, Program

HEADER = """
#include <stdexcept>
#include <string>
struct Shape {
    virtual ~Shape();
    virtual const char *name() const = 0;
    virtual int area() const = 0;
};
struct Square : Shape {
    explicit Square(int side) : side(side) {}
    const char *name() const override;
    int area() const override;
    int side;
};
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
    ~Failure() override;
    int code = 0;
};
template <typename T> struct Counter { static int made; static inline int touched = 0; };
template <typename T> int Counter<T>::made = 0;
Shape *make(int side);
bool is_square(const Shape *shape);
void fail(int code);
int guarded();
int once();
int in_thread();
int caught();
typedef void (*callback)();
int call_and_catch(callback it);
inline int &shared_count() { static int count = 0; return count; }
int count_shared();
"""

LIBRARY = """
#include "shapes.hh"
#include <cstdio>
#include <mutex>
Shape::~Shape() {}
const char *Square::name() const { return "square " VERSION; }
int Square::area() const { return side * side + BASE; }
Failure::~Failure() {}
Shape *make(int side) { Counter<int>::made++; return new Square(side); }
bool is_square(const Shape *shape) { return dynamic_cast<const Square *>(shape) != nullptr; }
void fail(int code)
{
    Failure failure(std::string("failed in ") + VERSION);
    failure.code = code + BASE;
    throw failure;
}
struct Noisy {
    Noisy() { printf("made in %s\\n", VERSION); }
    ~Noisy() { printf("gone\\n"); fflush(stdout); }
    int value = 0;
};
int guarded() { static Noisy noisy; return ++noisy.value + BASE; }
static std::once_flag flag;
static int ran;
int once() { std::call_once(flag, [] { ran++; }); return ran + BASE; }
int in_thread() { thread_local Noisy noisy; return ++noisy.value + BASE; }
int call_and_catch(callback it)
{
    try { it(); } catch (const Failure &failure) { return failure.code + BASE; }
    return -1;
}
int count_shared() { return ++shared_count() + BASE; }
"""

PROGRAM = """
#include "shapes.hh"
#include <cstdio>
#include <thread>
int main()
{
    char line[99];
    Shape *first = make(3);
    while (fgets(line, sizeof line, stdin)) {
        Shape *now = make(3);
        int code = 0;
        std::string what;
        try { fail(1); } catch (const std::runtime_error &error) {
            what = error.what();
            if (auto failure = dynamic_cast<const Failure *>(&error)) code = failure->code;
        }
        int caught = call_and_catch([] { Failure failure("ours"); failure.code = 5; throw failure; });
        int through = 0;
        try { call_and_catch([] { throw 7; }); } catch (int number) { through = number; }
        bool casts = is_square(first) && is_square(now) && dynamic_cast<Square *>(first) && dynamic_cast<Square *>(now);
        int other = 0;
        std::thread([&] { other = in_thread(); }).join();
        int ours = ++shared_count(), theirs = count_shared();
        printf("%s, %d | %s, %d | %s, %d | %d %d | casts %d | guarded %d once %d thread %d other %d | shared %d %d\\n",
               first->name(), first->area(), now->name(), now->area(), what.c_str(), code, caught, through, casts,
               guarded(), once(), in_thread(), other, ours, theirs);
        fflush(stdout);
        delete now;
    }
    delete first;
    return 0;
}
"""


def build(bench: Bench, compiler: str, level: str, version: int) -> None:
    flags = (level, "-std=c++17", "-fPIC", "-shared", "-Wl,-soname,libshapes.so", f"-I{bench.folder}")
    bench.compile(
        LIBRARY, "libshapes.so", *flags, f'-DVERSION="{version}"', f"-DBASE={1000 * version}", compiler=compiler
    )


@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_objects_exceptions_and_guards_outlive_a_version(bench: Bench, compiler: str, level: str) -> None:
    (bench.folder / "shapes.hh").write_text(HEADER)
    build(bench, compiler, level, 1)
    bench.compile(
        PROGRAM, "program", "-O1", "-std=c++17", "-L.", "-lshapes", "-Wl,-rpath,$ORIGIN", "-pthread", compiler=compiler
    )
    program = bench.run("./program")
    bench.library(program.pid, "libshapes.so")
    for round_, version in enumerate((1, 2, 3, 1), 1):
        if round_ > 1:
            build(bench, compiler, level, version)
            bench.wait_for_version("libshapes.so", "libshapes.so", program.pid)
        said = ask(program)
        base, name = 1000 * version, f"square {version}, {9 + 1000 * version}"
        assert said == (
            f"{name} | {name} | failed in {version}, {1 + base} | {5 + base} 7 | casts 1 | "
            f"guarded {round_ + base} once {1 + base} thread {round_ + base} other {1 + base} | "
            f"shared {2 * round_ - 1} {2 * round_ + base}"
        )
    assert program.end() == 0
    assert sum("made in" in line for line in program.lines) == sum("gone" in line for line in program.lines) == 6


def ask(program: Program) -> str:
    before = len(program.lines)
    program.ask("")
    return program.wait_for("square", before)
