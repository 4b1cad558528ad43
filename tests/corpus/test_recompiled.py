"""A version that another compiler built: where little of the code can be laid side by side, what it accesses tells."""

import subprocess
from pathlib import Path

import pytest

from liveso.elf import Image, read_image
from liveso.verdict import judge

SOURCES = {
    "queue": """
struct queue {{ long size, used; {0} int *items; short flags, kind; unsigned char mask[16]; }};
int queue_push(struct queue *it, int n)
{{ if (it->used == it->size) return -1; for (int i = 0; i < 16; i++) it->mask[i] ^= n >> i; it->items[it->used++] = n;
   it->flags |= n > 7 ? 3 : 5; return it->kind * n; }}
long queue_sum(struct queue *it)
{{ long n = 0; for (long i = 0; i < it->used; i++) n += it->items[i] * (i & it->flags); return n / (it->kind | 1); }}
""",
    "matrix": """
struct matrix {{ int rows, columns; {0} double *cells; double scale; }};
double matrix_trace(struct matrix *it)
{{ double n = 0; for (int i = 0; i < it->rows && i < it->columns; i++) n += it->cells[i * it->columns + i];
   return n * it->scale; }}
void matrix_fill(struct matrix *it, double value)
{{ for (int i = 0; i < it->rows; i++) for (int j = 0; j < it->columns; j++)
       it->cells[i * it->columns + j] = i == j ? value : value * it->scale; it->scale = 1; }}
""",
    "reader": """
struct reader {{ const char *text; unsigned position, line; {0} unsigned column; int error; }};
int reader_next(struct reader *it)
{{ int c = it->text[it->position]; if (!c) return it->error = -1; it->position++;
   if (c == 10) {{ it->line++; it->column = 0; }} else it->column += c == 9 ? 8 - it->column % 8 : 1; return c; }}
int reader_skip(struct reader *it)
{{ int n = 0; for (int c; (c = it->text[it->position]) == 32 || c == 9 || c == 10; n++) reader_next(it);
   return it->error ? -n : n; }}
""",
}
COMPILERS = (("clang", "-O2"), ("gcc", "-O3"))


def versions(folder: Path, text: str, member: str) -> tuple[Image, Image]:
    found = []
    for (compiler, level), inserted in zip(COMPILERS, ("", member), strict=True):
        flags = (level, "-w", "-shared", "-fPIC", "-s", "-Wl,-soname,libsubject.so", "-x", "c", "-")
        subprocess.run([compiler, "-o", folder / compiler, *flags], input=text.format(inserted), text=True, check=True)
        found.append(read_image((folder / compiler).read_bytes()))
    return found[0], found[1]


@pytest.mark.parametrize("name", SOURCES)
def test_the_same_members_are_enough(tmp_path: Path, name: str) -> None:
    old, new = versions(tmp_path, SOURCES[name], "")
    assert not [it.text for it in judge(old, new).refusals(None) if it.rule == "code-comparison"]


@pytest.mark.parametrize("name", SOURCES)
def test_members_that_moved_are_refused(tmp_path: Path, name: str) -> None:
    old, new = versions(tmp_path, SOURCES[name], "void *inserted;")
    assert judge(old, new).refusals(None)
