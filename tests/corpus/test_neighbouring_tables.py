"""Constant tables that only what touches them tells apart, with code that compares pointers with their addresses."""

import pytest

from liveso.code import data_references
from liveso.elf import read_image
from liveso.elf.data import constant_span
from liveso.verdict import judge
from tests.corpus.libraries import Build, findings

COMPILERS = ("gcc", "clang")
EDIT = "long edited(long n) {{ long m = n * 5; {0} return m; }}"

LOOK_ALIKES = """
int note(const char *);
struct methods { int version; int (*read)(int); int (*write)(int); long spare; };
typedef const struct methods *(*finder)(const char *, int);
struct layer { const void *data; const char *name; };
struct file { const struct methods *methods; int mode; };
%(tables)s
static struct layer layers[] = { %(layers)s };
int open_file(struct file *it, const char *name, int n) {
    const struct methods *found = (*(const finder *) layers[n & 1].data)(name, n);
    int mode = note(name);
    it->mode = mode;
    if (found == &table_a) it->mode = 3; else if (found == &table_b) it->mode |= 5;
    it->methods = found;
    return found->read(n);
}
int write_file(struct file *it) { return it->methods->write(it->mode); }
"""
TABLE = """
static int read_%(it)s(int n) { return n * %(number)s1 + 7; }
static int write_%(it)s(int n) { return (n ^ %(number)s2) / 3; }
static const struct methods table_%(it)s;
static const struct methods *find_%(it)s(const char *name, int n) { return &table_%(it)s; }
static const finder finder_%(it)s = find_%(it)s;
static const struct methods table_%(it)s = { 3, read_%(it)s, write_%(it)s };
"""

ENDS = """
int note(const char *);
struct detail { const char *key, *text; };
int strcmp(const char *, const char *);
__attribute__((noinline)) static
const struct detail *find(const struct detail *it, const struct detail *end, const char *key)
{ while (it != end && strcmp(it->key, key)) it++; return it; }
%(tables)s
"""
DETAILS = """
static const struct detail details_%(it)s[] = {
    { "%(it)s-none", "None at all" }, { "%(it)s-some", "Some of %(it)s" }, { "%(it)s-all", "Everything in %(it)s" },
    { "%(it)s-last", "The last %(it)s" } };
const char *text_%(it)s(const char *key) {
    const struct detail *found = find(details_%(it)s, details_%(it)s + 4, key);
    note(key);
    return found == details_%(it)s + 4 ? "unknown %(it)s" : found->text;
}
"""


def look_alikes(names: str) -> str:
    tables = "".join(TABLE % {"it": it, "number": ord(it) % 9 + 1} for it in names)
    return LOOK_ALIKES % {"tables": tables, "layers": ", ".join(f'{{ &finder_{it}, "{it}" }}' for it in names)}


def ends(names: str) -> str:
    return ENDS % {"tables": "".join(DETAILS % {"it": it} for it in names)}


SOURCES = {
    "words before tables": (look_alikes("ab"), look_alikes("ab")),
    "words before four tables": (look_alikes("abcd"), look_alikes("abcd")),
    "ends of tables": (ends("abcde"), ends("abcde")),
    "ends of tables that moved": (ends("abcde"), ends("zabcde")),
}


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", SOURCES)
def test_what_touches_a_known_table_is_known(build: Build, compiler: str, name: str) -> None:
    flags = ("-s", "-O2", "-w")
    old, new = (
        build(text + EDIT.format(edit), *flags, compiler=compiler)
        for text, edit in zip(SOURCES[name], ("", "if (n > 9) m += n / 3;"), strict=True)
    )
    assert not findings(old, new)


PADDED = """
struct row { const char *name, *canonical; int kind; char is_new; };
static const struct row first[] = {
    {"r600", "r600", 1, 0}, {"rv630", "rv630", 2, 1}, {"rv635", "rv635", 2, 1}, {"r630", "r630", 2, 1},
    {"", "", 0, 1}, {"", "", 0, 1}, {"cedar", "cedar", 5, 1}, {"last", "last", 6, 1},
};
static const struct row second[] = {
    {"gfx600", "gfx600", 11, 0}, {"", "", 0, 1}, {"", "", 0, 1}, {"gfx701", "gfx701", 13, 1},
};
static const struct row *find(const struct row *it, const struct row *end, int kind)
{
    for (; it != end; it++)
        if (it->kind == kind)
            return it;
    return end;
}
int note(int);
const struct row *of(int n)
{
    const struct row *found = 0;
    if (note(n)) found = &first[0];
    if (note(n * 3)) found = &first[1];
    if (note(n * 5)) found = &first[2];
    if (note(n * 7)) found = &first[3];
    if (note(n * 9)) found = &first[4];
    if (note(n * 11)) found = &first[5];
    if (note(n * 13)) found = &first[6];
    if (note(n * 17)) found = &first[7];
    return found;
}
const char *name(int kind)
{
    const struct row *it = find(first, first + 8, kind);
    return it == first + 8 ? "none" : it->name;
}
int is_end(const struct row *it) { return it == first + 8 || it == second + 4; }
const char *other(int kind)
{
    const struct row *it = find(second, second + 4, kind);
    return it == second + 4 ? "none" : it->name;
}
"""


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("padding", ["char is_new;", "short is_new;", "int is_new;"])
def test_padding_behind_a_table_parts_it_from_none(build: Build, compiler: str, padding: str) -> None:
    flags, text = ("-s", "-O2", "-w"), PADDED.replace("char is_new;", padding)
    files = [build(text + EDIT.format(it), *flags, compiler=compiler) for it in ("", "if (n > 9) m += n / 3;")]
    old, new = (read_image(it.read_bytes()) for it in files)
    rows = data_references(new).constants
    named = {it for it in rows[rows["forms_address"]]["target"].tolist() if it in constant_span(new)}
    kept = {it.start: it.old for it in judge(old, new).tables if it.old is not None}
    assert len(named & kept.keys()) >= 8  # the rows of `first`
    assert all(old.bytes_at(before, 24) == new.bytes_at(it, 24) for it, before in kept.items() if it in named)
