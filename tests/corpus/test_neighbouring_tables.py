"""Constant tables that only what touches them tells apart, with code that compares pointers with their addresses."""

import pytest

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
