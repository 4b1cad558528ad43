"""Constants that a library knows by their address, in pointers that it keeps (witness rule `constant-identity`)."""

import numpy as np
import pytest

from liveso.code import compared_constants, data_references, formed_constants, with_references_to
from liveso.elf import read_image
from liveso.verdict import judge
from tests.corpus.libraries import Build, findings

RULE = "constant-identity"
BUILDS = [
    (compiler, level, how)
    for compiler in ("gcc", "clang")
    for level in ("-O0", "-O2", "-O3")
    for how in ("-s", "-g", "-fvisibility=hidden")
]

SENTINELS = {
    "text": 'static const char empty[1] = "{0}"; \n#define NONE ((char *)empty)',
    "literal": 'static const char *const nothing = "nothing{0}"; \n#define NONE ((char *)nothing)',
    "node": "static const struct {{ long key; void *next; }} dummy = {{ 7, 0 }}; \n#define NONE ((char *)&dummy)",
    "hidden": '__attribute__((visibility("hidden"))) extern const char shared[]; const char shared[] = "shared{0}"; \n'
    "#define NONE ((char *)shared)",
}


def library(sentinel: str, *, content: str = "", edit: str = "") -> str:
    return f"""
    #include <stdlib.h>
    #include <string.h>
    #define API __attribute__((visibility("default")))
    {SENTINELS[sentinel].format(content)}
    struct object {{ char *text; int size; }};
    API struct object *make(void)
    {{
        struct object *it = malloc(sizeof *it);
        it->text = NONE;
        it->size = 0;
        return it;
    }}
    API void set(struct object *it, const char *text)
    {{
        if (it->text != NONE)
            free(it->text);
        it->text = strdup(text);
        {edit}
    }}
    API void drop(struct object *it) {{ if (it->text != NONE) free(it->text); free(it); }}
    API int size(struct object *it) {{ return it->size; }}
    """


@pytest.mark.parametrize("sentinel", SENTINELS)
@pytest.mark.parametrize(("compiler", "level", "how"), BUILDS)
def test_a_sentinel_keeps_its_address(build: Build, compiler: str, level: str, how: str, sentinel: str) -> None:
    old, new = (
        build(library(sentinel, edit=edit), level, how, compiler=compiler)
        for edit in ("", "it->size = (int)strlen(text);")
    )
    assert RULE not in findings(old, new)
    before, after = (read_image(it.read_bytes()) for it in (old, new))
    compared = [{it.address for it in compared_constants(image)} for image in (before, after)]
    assert len(compared[0]) == len(compared[1]) == 1
    homes = {it.start: it.old for it in judge(before, after).tables}
    assert homes[min(compared[1])] == min(compared[0])


@pytest.mark.parametrize("sentinel", ["literal", "hidden"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_sentinel_with_another_content_is_refused(build: Build, compiler: str, sentinel: str) -> None:
    old, new = (build(library(sentinel, content=it), "-O2", "-s", compiler=compiler) for it in ("", " at all"))
    assert "which has another content in the old version" in findings(old, new)[RULE].text


BESIDE = {
    "number": "static const volatile double half = {0}.5; API double by(double x) { return x * half; }",
    "vector": "API void fill(long *v) { v[0] = {0}000; v[1] = {0}001; v[2] = {0}002; v[3] = {0}003; }",
    "array": 'API int digit(int i) { char all[] = "{0}"; return all[i & 1]; }',
    "own": "API double scaled(double x) { return x * {0}.25 + 3; }",
}


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_number_that_lies_behind_a_text_is_none_of_it(build: Build, compiler: str, beside: str) -> None:
    text = library("text", content="none") + BESIDE[beside].replace("{0}", "VALUE")
    old, new = (
        build(text.replace("empty[1]", "empty[]").replace("VALUE", str(it)), "-O2", "-s", compiler=compiler)
        for it in (1, 2)
    )
    assert RULE not in findings(old, new)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_a_member_behind_a_name_is_part_of_the_constant(build: Build, compiler: str, level: str) -> None:
    node = 'static const struct { char name[8]; int level, other; } dummy = {"nobody", VALUE, 3};'
    text = library("node").replace(SENTINELS["node"].format("").partition("\n")[0], node)
    text += "API int level(const struct object *it) { return ((const int *)it->text)[2]; }"
    old, new = (build(text.replace("VALUE", str(it)), level, "-s", compiler=compiler) for it in (1, 2))
    assert "which has another content in the old version" in findings(old, new)[RULE].text


LOOPS = {
    "counted pointer": "for (const struct row *it = rows; it != rows + 5; it++) sum += it->value;",
    "backwards": "for (const struct row *it = rows + 5; it != rows; it--) sum += it[-1].value;",
    "by a variable": "static const struct row *at; for (at = rows; at != rows + 5; ++at) sum += at->value;",
}


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_the_end_of_an_array_is_no_constant_that_is_remembered(
    build: Build, compiler: str, level: str, name: str
) -> None:
    text = f"""
    struct row {{ long value, other; }};
    static const struct row rows[5] = {{{{EDIT}}, {{2}}, {{3}}, {{4}}, {{5}}}};
    long total(int n) {{ long sum = n; {LOOPS[name]} return sum; }}
    """.replace("EDIT", "{0}")
    old, new = (build(text.replace("{0}", str(it)), level, "-s", compiler=compiler) for it in (1, 9))
    before, after = (read_image(it.read_bytes()) for it in (old, new))
    assert RULE not in findings(old, new)
    assert all(it.may_be_end for image in (before, after) for it in compared_constants(image))
    assert not [it for it in judge(before, after).tables if it.end - it.start == 1]


COUNTED = """
static const long rows[5] __attribute__((used)) = {{1, 2, 3, 4, 5}};
extern const char sentinel[16] __attribute__((visibility("hidden")));
const char sentinel[16] = "none";
__attribute__((visibility("hidden"))) void *find(void *it) {{ return it; }}
asm(".text\\n.globl subject\\n.type subject, @function\\nsubject:\\n.cfi_startproc\\n"
    "push %rbx\\n mov %rdi, %rbx\\n"
    "1: lea sentinel(%rip), %rdx\\n cmp %rdx, %{register}\\n je 2f\\n"
    "{loop}\\n jmp 1b\\n"
    "2: pop %rbx\\n ret\\n.cfi_endproc\\n.size subject, . - subject\\n");
"""
COUNTS = {
    "the pointer": ("rbx", "add $8, %rbx", True),
    "the pointer, and a call": ("rbx", "mov (%rbx), %rdi; call find; lea 8(%rbx), %rbx", True),
    "the pointer, backwards": ("rbx", "mov (%rbx), %rax; sub $8, %rbx", True),
    "something else, before a call": ("rbx", "3: add $1, %rbx; cmp $9, %rbx; jne 3b; call find; mov %rax, %rbx", False),
    "something else, before the result": ("rax", "3: add $1, %rax; cmp $9, %rax; jne 3b; call find", False),
    "something else, before a load": ("rbx", "mov %rbx, %rax; add $1, %rbx; mov 8(%rax), %rbx", False),
    "something else, behind a load": (
        "rbx",
        "mov 8(%rbx), %rbx; cmp $9, %rbx; je 1b; mov %rbx, %rdi; xor %ebx, %ebx; "
        "3: add $1, %rbx; cmp $9, %rbx; jne 3b; mov %rdi, %rbx",
        False,
    ),
}


@pytest.mark.parametrize("what", COUNTS)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_register_that_counts_something_else_makes_no_end(build: Build, compiler: str, what: str) -> None:
    register, loop, is_end = COUNTS[what]
    library = build(COUNTED.format(register=register, loop=loop.replace("; ", "\\n ")), "-O2", "-s", compiler=compiler)
    (found,) = compared_constants(read_image(library.read_bytes()))
    assert found.may_be_end == is_end


REACHED_BY_TABLE = """
#define API __attribute__((visibility("default")))
static const char none[] = "none at all";
__attribute__((noinline)) static const char *name(int n)
{
    switch (n & 7) {
    case 0: return none;
    case 1: return "one of all";
    case 2: return "two of all";
    case 3: return "three of all";
    case 4: return "four of all";
    case 5: return "five of all";
    default: return "seven " MORE;
    }
}
API const char *get(int n) { return name(n); }
API int is_none(const char *it) { return it == none; }
API int both(int n) { return name(n) == none; }
"""


@pytest.mark.parametrize("more", ["a text", "another", "much longer than it was"])
@pytest.mark.parametrize("level", ["-O1", "-O2", "-Os"])
def test_what_a_table_of_distances_leads_to_keeps_its_address(build: Build, level: str, more: str) -> None:
    """clang reaches texts by their distance from a table: a word that leads to one which code compares is relinked."""
    flags = (level, "-s", "-fvisibility=hidden")
    files = (build(REACHED_BY_TABLE, *flags, f'-DMORE="{it}"', compiler="clang") for it in ("a word", more))
    old, new = (read_image(it.read_bytes()) for it in files)
    found = judge(old, new)
    assert not [it for it in found.findings if it.rule == RULE]
    (compared,) = {it.address for it in compared_constants(new)}
    assert compared in {it.start for it in found.tables}
    rows = with_references_to(new, data_references(new), frozenset((compared,))).constants
    leading = rows[rows["target"] == compared]
    (word,) = [it for it in leading.tolist() if not new.is_code(it[0])]
    assert len(leading) > 1 and len(np.unique(leading["place"])) == len(leading)
    place, target, displacement, _forms_address = word
    assert displacement == int.from_bytes(new.bytes_at(place, 4), "little", signed=True)
    assert target - displacement in formed_constants(new).targets


@pytest.mark.parametrize("level", ["-O1", "-O2", "-Os"])
def test_what_a_table_of_distances_leads_to_is_another_one_with_another_content(build: Build, level: str) -> None:
    flags, text = (level, "-s", "-fvisibility=hidden", '-DMORE="a word"'), REACHED_BY_TABLE
    changed = text.replace("none at all", "nothing at all")
    old, new = (build(it, *flags, compiler="clang") for it in (text, changed))
    assert RULE in findings(old, new)


TABLES_REACHED_BY_TABLE = """
struct node { const char *name; int (*act)(int); };
static int one(int n) { return n * 7 ^ 5; }
static int two(int n) { return n > 3 ? n - 9 : n / 7; }
static const struct node a = {"the first", one}, b = {"the second", two}, c = {"the third", one}, d = {"a fourth", two};
__attribute__((noinline)) const struct node *of(int n)
{
    switch (n) {
    case 0: return &a;
    case 1: return &b;
    case 2: return &c;
    case 3: return &d;
    }
    return 0;
}
const struct node *const all[] = {&d, &c, &b, &a};
int is_second(const struct node *it) { return it == &b; }
const char *more(void) { return MORE; }
"""


def test_so_does_a_table_of_pointers(build: Build) -> None:
    flags = ("-O2", "-s")
    files = (build(TABLES_REACHED_BY_TABLE, *flags, f'-DMORE="{it}"', compiler="clang") for it in ("a", "others"))
    old, new = (read_image(it.read_bytes()) for it in files)
    found = judge(old, new)
    assert not [it for it in found.findings if it.rule == RULE]
    (compared,) = {it.address for it in compared_constants(new)}
    rows = with_references_to(new, data_references(new), frozenset((compared,))).constants
    assert compared in {it.start for it in found.tables}
    assert [it for it in rows[rows["target"] == compared]["place"].tolist() if not new.is_code(it)]
