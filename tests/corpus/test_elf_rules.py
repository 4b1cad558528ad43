"""The rules of the ELF layer, each with a library that is built for it."""

from pathlib import Path

import pytest

from liveso.elf import read_image
from liveso.verdict import Weight, judge
from tests.corpus.libraries import Build, findings

POINTERS = """
static int first, second; static int *const order[2] = {&first, &second}; int *chosen[2] = {&first, &second};
int sum(void) { return *order[0] + *order[1] + *chosen[0]; }
"""


def test_packed_relocations_say_the_same(build: Build) -> None:
    plain, packed = build(POINTERS), build(POINTERS, "-Wl,-z,pack-relative-relocs")
    assert not read_image(plain.read_bytes()).has_tag(36)
    assert read_image(packed.read_bytes()).has_tag(36)  # DT_RELR
    assert not findings(plain, packed) and not findings(packed, plain)


def test_a_pointer_that_leads_elsewhere_is_seen_through_packing(build: Build) -> None:
    changed = POINTERS.replace("*chosen[2] = {&first, &second}", "*chosen[2] = {&second, &first}")
    for flags in ((), ("-Wl,-z,pack-relative-relocs",)):
        assert "initial-pointer" in findings(build(POINTERS), build(changed, *flags))


def test_the_order_of_lazy_slots_plays_no_part(build: Build) -> None:
    """Each version has its own table: nothing in the process counts its slots."""
    text = """
    #include <stdlib.h>
    #include <string.h>
    #include <stdio.h>
    int count = 1;
    int number(const char *text) { return count + atoi(text); }
    int length(const char *text) { return (int)strlen(text) + puts(text); }
    """
    old, new = (build(it, "-Wl,-z,lazy", "-fno-builtin", "-O0") for it in (text, text.replace("puts", "system")))
    slots = [
        [image.symbols[row[2]].name for row in image.relocations.tolist() if row[1] == image.machine.jump_slot]
        for image in (read_image(path.read_bytes()) for path in (old, new))
    ]
    assert slots[0].index("strlen") != slots[1].index("strlen") or slots[0].index("atoi") != slots[1].index("atoi")
    assert len(slots[0]) == len(slots[1]) and not findings(old, new)


def test_a_protected_variable_is_another_one_than_the_programs_copy(build: Build) -> None:
    text = """%s int level = 1; int get(void) { return level; }
    __attribute__((visibility("protected"))) int f(void) { return 1; }"""
    old, new = (build(text % it) for it in ("", '__attribute__((visibility("protected")))'))
    for pair in ((old, new), (new, old)):
        assert "protected" in findings(*pair)["symbol-binding"].text
    function = text.replace('__attribute__((visibility("protected")))', "") % ""
    assert not findings(old, build(function))


def test_a_unique_variable_stays_one(build: Build) -> None:
    text = "template <class T> struct Box { static int count; }; template <class T> int Box<T>::count = 1;\n"
    text += "template struct Box<int>; int get() { return Box<int>::count; }"
    old, new = (build(text, flag, compiler="g++") for flag in ("-fgnu-unique", "-fno-gnu-unique"))
    assert not findings(old, build(text, compiler="g++"))
    assert "unique" in findings(old, new)["symbol-binding"].text


F = "int f(void) { return 1; }\n"
READ = "int f(void) { return one; }\n"


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("symbol-type", F, "int f = 1;"),
        (
            "symbol-type",
            F,
            "static int g(void) { return 1; } static void *pick(void) { return g; }\n"
            'int f(void) __attribute__((ifunc("pick")));',
        ),
        ("object-size", "int table[2] = {1, 2};", "int table[3] = {1, 2, 3};"),
        ("symbol-removed", F + "int g(void) { return 2; }", F),
        ("tls-block", "__thread int one;" + READ, "__thread int one[2];" + READ.replace("one", "one[1]")),
        (
            "tls-block",
            "__thread int one;" + READ,
            '__thread int one; __attribute__((tls_model("initial-exec"))) static __thread int two[9];'
            + READ.replace("return one", "return one + two[one]++"),
        ),
        ("tls-block", "__thread int one = 1;" + READ, "__thread int one = 2;" + READ),
        ("executable-stack", F, F + '__asm__(".section .note.GNU-stack,\\"x\\"");'),
        ("transactional-memory", F, F + '__asm__(".section .tm_clone_table,\\"aw\\"; .quad f, f; .text");'),
        (
            "next-definition",
            F,
            '#define _GNU_SOURCE\n#include <dlfcn.h>\nint f(void) { return dlsym(RTLD_NEXT, "f") != 0; }',
        ),
        (
            "initialiser",
            "int one = 1;" + READ,
            "int one = 1; __attribute__((constructor)) static void begin(void) { one = 2; }" + READ,
        ),
        ("data-layout", "const int one = 1;" + READ, "int one = 1;" + READ),
    ],
)
def test_a_rule_refuses(build: Build, rule: str, before: str, after: str) -> None:
    old, new = build(before), build(after)
    assert rule in findings(old, new)
    assert not findings(old, old)


def test_a_version_of_a_symbol_that_is_gone_refuses(build: Build, tmp_path: Path) -> None:
    scripts = []
    for version in ("ONE", "TWO"):
        script = tmp_path / f"{version}.map"
        script.write_text(f"{version} {{ global: f; local: *; }};\n")
        scripts.append(f"-Wl,--version-script={script}")
    old, new = (build("int f(void) { return 1; }", script) for script in scripts)
    assert "f@ONE" in findings(old, new)["symbol-removed"].text


def test_another_soname_refuses(build: Build) -> None:
    text = "int f(void) { return 1; }"
    assert "soname" in findings(build(text), build(text, "-Wl,-soname,libsubject.so.2"))


def test_text_relocations_are_impossible(build: Build) -> None:
    text = 'int x = 1; int f(void) { return x; } __asm__(".text\\n g: movabs $x, %rax; ret");'
    assert "text-relocation" in findings(build(text), build(text, "-Wl,-z,notext"))


def versioned(build: Build, folder: Path, script: str) -> Path:
    """A library whose versions are those of a linker script."""
    path = folder / f"{len(list(folder.iterdir()))}.map"
    path.write_text(script)
    return build("int f(void) { return 1; } int g(void) { return 2; }", f"-Wl,--version-script={path}")


@pytest.mark.parametrize("others", ["", " global: g;"], ids=["empty", "with-a-symbol"])
def test_a_version_that_is_gone_is_no_symbol(build: Build, tmp_path: Path, others: str) -> None:
    """Nothing refers to it by name; what was in it is told by its own name."""
    old = versioned(build, tmp_path, f"ONE {{ global: f; local: *; }}; TWO {{{others} }} ONE;")
    new = versioned(build, tmp_path, "ONE { global: f; local: *; };")
    verdict = judge(read_image(old.read_bytes()), read_image(new.read_bytes()))
    texts = {it.text: it.weight for it in verdict.findings if it.rule == "symbol-removed"}
    assert texts.pop("the symbol version TWO is gone") is Weight.NOTE
    assert list(texts) == (["the symbol g@TWO is gone"] if others else [])


ARRAYS = """
static int table[40000] = {1}; static int other[40000]; static int small; int level = 2;
int get(int i) { return table[i] + other[i] + small; } void set(int i, int v) { table[i] = v; other[i] = v; small++; }
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize(
    ("model", "says"),
    [("large", "-mcmodel=large"), ("medium", "-mcmodel=medium")],
)
def test_code_for_a_model_whose_references_cannot_be_followed_is_impossible(
    build: Build, compiler: str, model: str, says: str
) -> None:
    small = build(ARRAYS, compiler=compiler)
    other = build(ARRAYS, f"-mcmodel={model}", compiler=compiler)
    assert not findings(small, small)
    for old in (small, other):
        found = [it.text for it in findings(old, other).values() if it.weight is Weight.IMPOSSIBLE]
        assert any(says in text for text in found) and not any("overlap" in text for text in found)


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (0, ""),
        (1, "1 place in hand-written assembly (code without unwind entries) may refer to a variable"),
        (2, "2 places in hand-written assembly (code without unwind entries) may refer to a variable"),
    ],
)
def test_assembly_that_may_not_be_decoded_is_counted_in_words(build: Build, number: int, says: str) -> None:
    """A number that would lead to a variable if it were a displacement: it is one's operand."""
    hidden = ".byte 0x48, 0xb8, 0x8d, 0x05; .long one - . - 4; .byte 0, 0; " * number
    text = "int one = 1; int f(void) { return one++; }"
    text = f'static {text} __asm__(".text; .globl g; .type g, @function; g: {hidden} ret");'
    image = read_image(build(text).read_bytes())
    texts = [it.text for it in judge(image, image).findings if it.rule == "undecoded-code"]
    assert len(texts) == bool(number) and all(it.startswith(says) for it in texts)


def test_a_symbol_that_gets_a_version_is_the_same(build: Build, tmp_path: Path) -> None:
    """The dynamic linker binds who was linked with a library without versions to the one that is not hidden."""
    text = "int shown = 1, more; _Thread_local int each; int f(void) { return shown + more + each; }"
    old = build(text)
    script = tmp_path / "one.map"
    script.write_text("ONE { global: f; shown; more; each; local: *; };\n")
    new = build(f"int other = 5; int g(void) {{ return other; }} {text}", f"-Wl,--version-script={script}")
    verdict = judge(read_image(old.read_bytes()), read_image(new.read_bytes()))
    assert verdict.refusals(None) == ()
    assert "symbol-removed" in findings(new, old)  # whoever was linked with versions asks for them


def test_of_two_versions_that_a_symbol_gets_the_one_that_is_not_hidden_counts(build: Build, tmp_path: Path) -> None:
    script = tmp_path / "two.map"
    script.write_text("ONE { global: f; local: *; }; TWO { global: f; } ONE;\n")
    text = '__asm__(".symver first, f@@ONE"); int first(void) { return 1; }\n'
    text += '__asm__(".symver second, f@TWO"); int second(void) { return 2; }'
    assert "symbol-removed" not in findings(build(F), build(text, f"-Wl,--version-script={script}"))
    hidden = text.replace("@@", "@")
    assert "symbol-removed" in findings(build(F), build(hidden, f"-Wl,--version-script={script}"))
