"""What a refusal says about the objects that changed: whether they only live during one call, and else which functions
make and free them."""

import subprocess
from pathlib import Path

import pytest

from liveso.elf import read_image
from liveso.verdict import Finding, Verdict, Weight, judge

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
SWITCH = """
long visit(long);
own long one(struct state *it, long n) {{ it->c += n; it->d ^= it->c * 3; return it->d * 9; }}
own long next(struct state *it, long k, long n) {{
    switch (k) {{
    case 0: return it->c * n;
    case 1: it->d = n; return one(it, n);
    case 2: it->c -= n; return one(it, it->d / 3);
    case 3: it->d += it->c; return it->d * 7;
    case 4: return one(it, 5) + it->d;
    case 5: it->c ^= n; return it->c + 5;
    default: return one(it, k);
    }}
}}
long parse(const char *text) {{
    struct state it = {{1, 2}};
    long n = 0;
    while (*text) n += next(&it, *text & 7, n) + visit(n), text++;
    return n;
}}
"""
KEPT_IN_FRAME = """
long visit(long, long, long, long, long, long);
own long step(struct state *it, long n) {{ it->c += n; it->d ^= it->c * 3; return it->d * 9; }}
own long walk(struct state *it, long a, long b, long e, long f, long g) {{
    long h = a * b, i = b * e, j = e * f, k = f * g, l = a * g;
    for (long n = 0; n < g; n++) {{
        h += visit(a, b, e, f, g, h); i ^= visit(h, i, j, k, l, n); j += visit(i, a, b, e, f, n);
        k ^= visit(j, k, l, a, b, e) + step(it, h); l += visit(l, k, j, i, h, g);
    }}
    return h + i + j + k + l + it->c + it->d * 3;
}}
long parse(long a, long b) {{ struct state it = {{1, 2}}; return walk(&it, a, b, a + b, a - b, a ^ b) + it.c; }}
"""
GIVEN_BACK = """
void choose(struct state **);
long visit(long, long, long, long, long, long);
own long step(struct state *it, long n) {{ it->c += n; it->d ^= it->c * 3; return it->d / 13 + it->c / 7; }}
own long walk(struct state *it, long n) {{
    struct state *kept = it;
    visit(n, 1, 2, 3, 4, 5);
    choose(&kept);
    return step(kept, n) + step(kept, n + 1);
}}
long parse(long n) {{ struct state it = {{1}}; return walk(&it, n) + it.c; }}
"""
ONE_CASE_IS_KEPT = """
struct state *kept;
own long step(struct state *it, long n) {{ it->c += n; it->d ^= it->c * 3; return it->d / 13 + it->c / 7; }}
own long next(struct state *it, long k, long n) {{
    switch (k) {{
    case 0: n += 2; break;
    case 1: n *= n; n ^= 5; break;
    case 2: it = kept; break;
    case 3: n -= 7; n *= 3; break;
    case 4: n = n * n * n; break;
    case 5: n /= 9; break;
    case 6: kept->a++; break;
    }}
    return step(it, n) + step(it, k);
}}
long parse(long k, long n) {{ struct state it = {{1}}; return next(&it, k, n) + it.c; }}
"""
IN_A_CIRCLE = """
struct state *kept;
own long odd(struct state *, long);
own long even(struct state *it, long n) {{
    it->c += n; it->d ^= it->c * 3;
    return n > 1 ? odd(it, n - 1) + it->d / 13 + odd(it, n / 3) : it->c / 7;
}}
own long odd(struct state *it, long n) {{
    it->d -= n; it->c ^= it->d * 5;
    return n > 1 ? even(it, n - 1) + it->c / 11 + even(it, n / 5) : it->d / 17;
}}
long parse(long n) {{ struct state it = {{1}}; return even(&it, n) + it.c; }}
long again(long n) {{ return odd(kept, n); }}
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


def verdict(folder: Path, compiler: str, body: str, otherwise: tuple[str, str] = ("", "")) -> Verdict:
    """That of a version in which the structure gets a member in its middle, and `otherwise` one text is another."""
    versions = []
    for name, member in (("old", ""), ("new", "long inserted;")):
        flags = ("-O2", "-w", "-shared", "-fPIC", "-s", "-Wl,-soname,libsubject.so", "-x", "c", "-")
        text = (STATE + body).format(member)
        if name == "new":
            assert otherwise[0] in text
            text = text.replace(*otherwise)
        subprocess.run([compiler, "-o", folder / name, *flags], input=text, text=True, check=True)
        versions.append(read_image((folder / name).read_bytes()))
    old, new = versions
    return judge(old, new)


def refusals(folder: Path, compiler: str, body: str) -> tuple[Finding, ...]:
    return verdict(folder, compiler, body).refusals(None)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    "body",
    [PARSER, RECURSIVE, HANDED_ON, SWITCH, KEPT_IN_FRAME],
    ids=["parser", "recursive", "handed on", "in a switch", "kept in a frame"],
)
def test_objects_of_one_call_are_told(tmp_path: Path, compiler: str, body: str) -> None:
    found = [it for it in verdict(tmp_path, compiler, body).findings if it.weight in (Weight.REFUSES, Weight.OUTSIDE)]
    assert found
    assert {it.rule for it in found} == {"during-call"}
    assert all(it.text.startswith("only objects that live during one call changed: ") for it in found)


IN_MEMORY = """
struct state *kept;
long last(void) {{ return kept ? kept->d * 5 + kept->c : 0; }}
"""


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("body", [PARSER, RECURSIVE, HANDED_ON], ids=["parser", "recursive", "handed on"])
def test_where_nothing_else_changed_they_may_change_while_no_thread_is_inside(
    tmp_path: Path, compiler: str, body: str
) -> None:
    found = verdict(tmp_path, compiler, body)
    assert not found.refusals(None) and found.is_right_outside


EDITED = {
    "another function reads such objects in memory, and was edited": (IN_MEMORY, ("kept->d * 5", "kept->b + kept->d")),
    "a function that reads other objects was edited": (
        "long other(long *it) {{ return it[3] * 5 + it[2]; }}\n",
        ("it[3] * 5", "it[3] / 7 + it[4]"),
    ),
    "a constant may say where a member is": (
        "const long places[] = {{24, 40}};\nlong place(int n) {{ return places[n]; }}\n",
        ("{24, 40}", "{32, 40}"),
    ),
}


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("edited", EDITED)
def test_where_something_else_changed_such_objects_may_live_there(tmp_path: Path, compiler: str, edited: str) -> None:
    more, otherwise = EDITED[edited]
    found = verdict(tmp_path, compiler, PARSER + more, otherwise)
    assert found.refusals(None) and not found.is_right_outside


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    "body",
    [STORED, EXPORTED, REMEMBERED, HEAP, GIVEN_BACK, ONE_CASE_IS_KEPT, IN_A_CIRCLE],
    ids=["stored", "exported", "remembered", "allocated", "given back", "kept by one case", "in a circle"],
)
def test_objects_that_may_live_on_are_not_taken_for_such(tmp_path: Path, compiler: str, body: str) -> None:
    found = refusals(tmp_path, compiler, body)
    assert any(it.rule == "witness" for it in found)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_who_makes_and_frees_an_object_is_named(tmp_path: Path, compiler: str) -> None:
    found = [it.text for it in refusals(tmp_path, compiler, HEAP) if it.rule == "witness"]
    assert any(it.endswith("; such objects are made by state_new and freed by state_free") for it in found), found
