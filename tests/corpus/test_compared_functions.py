"""Functions that a library knows by their address, in pointers that it keeps (witness rule `function-identity`)."""

import pytest

from liveso.code import compared_functions, function_names
from liveso.elf import read_image
from liveso.verdict import judge
from tests.corpus.libraries import Build, findings

RULE = "function-identity"
NAMES = ("idle", "begin", "head", "body", "tail", "rest", "finish")
COMPILERS = [(compiler, level) for compiler in ("gcc", "clang") for level in ("-O0", "-O2")]
ONE_BY_ONE = "-fno-tree-slp-vectorize"  # clang 19 compares a pointer with two addresses at a time, in vector registers


LOOP = """__attribute__((visibility("hidden"))) int {0}(struct parser *);
    asm(".text\\n.globl {0}\\n.hidden {0}\\n.type {0}, @function\\n{0}:\\n.cfi_startproc\\ndec %esi\\njnz {0}\\n"
        "mov ${1}, %eax\\nret\\n.cfi_endproc\\n.size {0}, .-{0}");
    """
"""A function that a jump at its entry would leave half-way."""


def machine(*, is_compared: bool, qualifier: str = "static", edit: int = 0, has_loops: bool = False) -> str:
    """A parser whose state is a pointer to a function that handles it, in the caller's memory. Each `has_loops` that
    lead to its entry, or not."""
    states = [
        LOOP.format(name, 100 + at) if has_loops else f"STATE({name}, {100 + at})" for at, name in enumerate(NAMES)
    ]
    comparisons = " + ".join(f"(p->step == {name})" for name in NAMES) if is_compared else "0"
    return f"""
    struct parser {{ long count; int (*step)(struct parser *); }};
    #define STATE(name, value) {qualifier} __attribute__((noinline)) int name(struct parser *p) \\
        {{ p->count += value; return (int)p->count; }}
    {" ".join(states)}
    void enter(struct parser *p, int state)
    {{
        switch (state) {{
        {" ".join(f"case {at}: p->step = {name}; break;" for at, name in enumerate(NAMES))}
        }}
    }}
    int known(struct parser *p) {{ return {comparisons}; }}
    int step(struct parser *p) {{ return p->step(p) + {edit}; }}
    """


@pytest.mark.parametrize(("compiler", "level"), COMPILERS)
@pytest.mark.parametrize("qualifier", ["static", ""], ids=["local", "exported"])
def test_states_that_are_known_by_their_address_keep_it(
    build: Build, compiler: str, level: str, qualifier: str
) -> None:
    versions = [
        build(machine(is_compared=True, qualifier=qualifier, edit=edit), level, "-s", compiler=compiler)
        for edit in (0, 1)
    ]
    assert RULE not in findings(*versions)
    old, new = (read_image(it.read_bytes()) for it in versions)
    assert {it.function for it in compared_functions(new).comparisons} <= {
        it.new for it in judge(old, new).functions if it.place is not None
    }


@pytest.mark.parametrize(("compiler", "level"), COMPILERS)
def test_states_that_cannot_be_led_on_are_refused(build: Build, compiler: str, level: str) -> None:
    versions = [
        build(machine(is_compared=True, has_loops=True, edit=edit), level, ONE_BY_ONE, compiler=compiler)
        for edit in (0, 1)
    ]
    found = findings(*versions)[RULE]
    assert "(and 6 more)" in found.text and len(found.where) == 7


@pytest.mark.parametrize(("compiler", "level"), COMPILERS)
def test_functions_that_are_only_called_are_no_matter(build: Build, compiler: str, level: str) -> None:
    old, new = (build(machine(is_compared=False, edit=edit), level, compiler=compiler) for edit in (0, 1))
    assert not compared_functions(read_image(new.read_bytes())).comparisons
    assert RULE not in findings(old, new)


@pytest.mark.parametrize(("compiler", "level"), COMPILERS)
def test_a_function_that_is_new_is_in_no_pointer_yet(build: Build, compiler: str, level: str) -> None:
    """Of the compared functions, one is new: it does not count."""
    old = build(machine(is_compared=True, has_loops=True), level, ONE_BY_ONE, compiler=compiler)
    new = build(
        machine(is_compared=True, has_loops=True)
        .replace("void enter", "STATE(idle_too, p->count * 7) void enter")
        .replace("(p->step == idle)", "(p->step == idle) + (p->step == idle_too)")
        .replace("case 0:", "case 9: p->step = idle_too; break; case 0:"),
        level,
        ONE_BY_ONE,
        compiler=compiler,
    )
    assert "(and 6 more)" in findings(old, new)[RULE].text
    names = {address: name for name, address in function_names(read_image(new.read_bytes())).items()}
    assert "idle_too" in {names[it.function] for it in compared_functions(read_image(new.read_bytes())).comparisons}


LEFT_OUT = {
    "called otherwise": "int run(struct s *p) { int (*f)(void) = p->f; return f == one ? 7 : f(); }",
    "stored if it is not there yet": "void run(struct s *p) { if (p->f != one) { p->before = 0; p->f = one; } }",
    "of an argument": "int run(int (*f)(void)) { return f == one; }",
    "of a variable that starts with it": "int (*chosen)(void) = one; int run(void) { return chosen == one; }",
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_comparisons_that_change_nothing_are_left_out(build: Build, name: str) -> None:
    text = "struct s { long before; int (*f)(void); }; static int one(void) { return 7; }\n" + LEFT_OUT[name]
    text += "\nvoid set(struct s *p) { p->f = one; }"
    assert not compared_functions(read_image(build(text, "-O2").read_bytes())).comparisons
    kept = text + "\nint is_one(struct s *p) { return p->f == one; }"
    image = read_image(build(kept, "-O2").read_bytes())
    (comparison,) = compared_functions(image).comparisons
    assert comparison.inside == function_names(image)["is_one"]
    assert comparison.function in compared_functions(image).kept


def test_virtual_calls_that_the_compiler_foresees_are_left_out(build: Build) -> None:
    text = """
    struct Shape { virtual ~Shape() {} virtual int sides() { return 0; } long count = 0; };
    struct Square : Shape { int sides() override { return 4; } };
    int sides(Shape *shape) { return shape->sides(); }
    Shape *make() { return new Square; }
    """
    image = read_image(build(text, "-O2", "-fdevirtualize-speculatively", compiler="g++").read_bytes())
    assert not compared_functions(image).comparisons


def test_a_few_are_noted(build: Build) -> None:
    text = machine(is_compared=True, has_loops=True)
    few = text.replace(" + ".join(f"(p->step == {name})" for name in NAMES), "p->step == idle")
    assert few != text
    old, new = (read_image(build(few + extra, "-O2").read_bytes()) for extra in ("", "\nint more(void) { return 5; }"))
    assert [it.weight for it in judge(old, new).findings if it.rule == RULE] == ["note"]


@pytest.mark.parametrize(("compiler", "level"), COMPILERS)
def test_a_comparison_in_a_loop_is_found(build: Build, compiler: str, level: str) -> None:
    """As CPython's `tp_new_wrapper` does: the loop begins behind a jump, and goes on from one type to its base."""
    text = """
    struct type { long count; struct type *base; void *(*make)(struct type *); };
    int fail(struct type *), is_subtype(struct type *, struct type *);
    static void *make(struct type *type) { return type->base; }
    void ready(struct type *type) { type->make = make; }
    int wrapper(struct type *self, struct type *type)
    {
        if (!is_subtype(type, self))
            return fail(type);
        while (type && type->make == make)
            type = type->base;
        return type && type->make != self->make ? fail(self) : 0;
    }
    """
    image = read_image(build(text, level, compiler=compiler).read_bytes())
    (comparison,) = {it.function: it for it in compared_functions(image).comparisons}.values()
    assert comparison.inside == function_names(image)["wrapper"]
