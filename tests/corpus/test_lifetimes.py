"""What a refusal says about the objects that changed: whether they only live during one call, and else which functions
make and free them."""

import subprocess
from pathlib import Path

import pytest

from liveso.elf import read_image
from liveso.verdict import Finding, judge

COMPILERS = ("gcc", "clang")

STATE = (
    "struct state {{ long a, b; {0} long c, d; char buffer[200]; }};\n#define own __attribute__((noinline)) static\n"
)

PARSER = """
own long step(struct state *it, long n) {{ it->c += n; it->d ^= it->c * 3; it->buffer[n & 63]++; return it->d * 9; }}
own long rest(struct state *it) {{ return it->c * it->d + it->buffer[1] * 7 + it->c / 11; }}
long parse(const char *text) {{
    struct state it = {{1, 2}};
    long n = 0;
    while (*text) n += step(&it, *text++);
    return n + rest(&it);
}}
"""
RECURSIVE = """
own long walk(struct state *it, long n) {{
    it->c += n; it->d ^= it->c;
    return n > 1 ? walk(it, n / 2) + walk(it, n - 2) + it->d : it->c;
}}
long deep(long n) {{ struct state it = {{3}}; return walk(&it, n) + it.d; }}
long deeper(long n) {{ struct state it = {{4}}; return walk(&it, n * 2) * it.c; }}
"""
HANDED_ON = """
own long third(struct state *it) {{ it->c++; return it->c * it->d-- / 13 + it->c / 7; }}
own long second(struct state *it, long n) {{ it->a += n; return third(it) + n; }}
long first(long n) {{ struct state it = {{5}}; it.buffer[n & 7] = 1; return second(&it, n) + second(&it, n * 7); }}
"""
STORED = """
struct state *kept;
own long step(struct state *it, long n) {{ it->c += n; it->d ^= it->c * 3; return it->d / 13 + it->c / 7; }}
long parse(long n) {{ struct state it = {{1}}; return step(&it, n) + step(kept, n); }}
"""
EXPORTED = """
__attribute__((noinline)) long step(struct state *it, long n) {{
    it->c += n; it->d ^= it->c * 3; return it->d / 13 + it->c / 7;
}}
long parse(long n) {{ struct state it = {{1}}; return step(&it, n); }}
"""
REMEMBERED = """
own long step(struct state *it, long n) {{ it->c += n; it->d ^= it->c * 3; return it->d / 13 + it->c / 7; }}
long (*handler)(struct state *, long) = step;
long parse(long n) {{ struct state it = {{1}}; return step(&it, n); }}
"""
HEAP = """
void *malloc(unsigned long); void free(void *);
struct state *state_new(long n) {{ struct state *it = malloc(sizeof *it); it->c = n; it->d = n * 3; return it; }}
long total;
void state_free(struct state *it) {{ total += it->d * 3 + it->c; free(it); }}
long state_next(struct state *it) {{ it->c += 5; return it->c * it->d; }}
"""


def refusals(folder: Path, compiler: str, body: str) -> tuple[Finding, ...]:
    """Those of a version in which the structure gets a member in its middle."""
    versions = []
    for name, member in (("old", ""), ("new", "long inserted;")):
        flags = ("-O2", "-w", "-shared", "-fPIC", "-s", "-Wl,-soname,libsubject.so", "-x", "c", "-")
        text = (STATE + body).format(member)
        subprocess.run([compiler, "-o", folder / name, *flags], input=text, text=True, check=True)
        versions.append(read_image((folder / name).read_bytes()))
    old, new = versions
    return judge(old, new).refusals(None)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("body", [PARSER, RECURSIVE, HANDED_ON], ids=["parser", "recursive", "handed on"])
def test_objects_of_one_call_are_told(tmp_path: Path, compiler: str, body: str) -> None:
    found = refusals(tmp_path, compiler, body)
    assert found
    assert {it.rule for it in found} == {"during-call"}
    assert all(it.text.startswith("only objects that live during one call changed: ") for it in found)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    "body", [STORED, EXPORTED, REMEMBERED, HEAP], ids=["stored", "exported", "remembered", "allocated"]
)
def test_objects_that_may_live_on_are_not_taken_for_such(tmp_path: Path, compiler: str, body: str) -> None:
    found = refusals(tmp_path, compiler, body)
    assert any(it.rule == "witness" for it in found)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_who_makes_and_frees_an_object_is_named(tmp_path: Path, compiler: str) -> None:
    found = [it.text for it in refusals(tmp_path, compiler, HEAP) if it.rule == "witness"]
    assert any(it.endswith("; such objects are made by state_new and freed by state_free") for it in found), found
