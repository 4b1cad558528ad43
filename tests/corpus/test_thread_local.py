"""The references to thread-local variables that are found in code, against the linker's own list (`--emit-relocs`)."""

import io
import itertools
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from liveso.code import thread_local_references
from liveso.elf import read_image
from tests.harness import Bench

# ELF TLS, x86-64: a slot's pair, the module's pair, a place in the block, a slot of an offset from the thread pointer
_TLSGD, _TLSLD, _DTPOFF32, _GOTTPOFF = 19, 20, 21, 22

IN_C = """
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef struct { char flag; short small; int number; long wide; double real; float vector[8]; } record;
static __thread int count = 3;
static __thread short small;
static __thread char flag, text[40];
static __thread record records[8], one;
static __thread int (*handler)(int);
static __thread long *next;
static __thread jmp_buf place;
__thread int exported = 4;
__attribute__((visibility("hidden"))) __thread long hidden;
static _Noreturn void fail(const char *why) { fprintf(stderr, "%s %d\\n", why, count), abort(); }
int plain(int n) { return count += n, small++, flag ? exported : (int)hidden; }
void each(int n)
{
	for (int i = 0; i < 8; i++)
		records[i].number += n, records[i].vector[i & 7] *= 2, records[i].real += one.real;
	for (int i = 0; i < 40; i++)
		text[i] ^= (char)(n + flag);
}
double sum(int first)
{
	double all = 0;
	for (int i = first; i < 8; i++)
		all += records[i - 1].real + records[7 - i].vector[2];
	return all;
}
void copy(int n) { memcpy(&records[n], &one, sizeof one), memset(text, n, sizeof text); }
int through(int n) { return handler ? handler(n) + handler(count) : 0; }
int spilled(int a, int b, int c, int d, int e, int f)
{
	for (int i = 0; i < a; i++) {
		count += printf("%d %d %d %d %d %d %d\\n", a, b, c, d, e, f, i);
		small += (short)(a * b), one.wide += c * d + e, hidden += f;
		if (count > 1000)
			fail("count");
		records[i & 7].small = (short)printf("%ld\\n", one.wide);
	}
	return count + small;
}
int choose(int n)
{
	switch (n) {
	case 0: return count++;
	case 1: return small--;
	case 2: return puts(text);
	case 3: return one.number;
	case 4: return flag;
	case 5: return (int)*next;
	case 6: return exported;
	case 7: return setjmp(place);
	default: fail("choice");
	}
}
long *address(int n) { return n > 2 ? &one.wide : n ? &hidden : (long *)&records[n].wide; }
"""

IN_CXX = """
#include <stdexcept>
#include <string>
#include <vector>
static thread_local int depth;
static thread_local long steps[4] = {1, 2, 3, 4};
static thread_local std::vector<std::string> stack;
struct guard { guard() { ++depth; } ~guard() { --depth; } };
int walk(int n)
{
	guard here;
	stack.push_back(std::to_string(n));
	if (n > 50)
		throw std::runtime_error(stack.back());
	try {
		steps[n & 3] += walk(n + 1);
	} catch (const std::exception &error) {
		steps[0] += depth;
		stack.clear();
	}
	return depth + (int)steps[1];
}
"""

BUILDS = [
    (compiler, level, model)
    for compiler, level, model in itertools.product(
        ("gcc", "clang"), ("-O0", "-O1", "-O2", "-O3", "-Os"), ("global-dynamic", "local-dynamic", "initial-exec")
    )
]


@pytest.mark.parametrize(("compiler", "level", "model"), BUILDS, ids="".join)
@pytest.mark.parametrize("language", ["c", "c++"])
def test_all_are_found(idle_bench: Bench, language: str, compiler: str, level: str, model: str) -> None:
    source, compiler = (IN_C, compiler) if language == "c" else (IN_CXX, {"gcc": "g++", "clang": "clang++"}[compiler])
    flags = ("-x", language, "-shared", "-fPIC", "-w", level, f"-ftls-model={model}", "-Wl,--emit-relocs")
    _are_all_found(idle_bench.compile(source, "library.so", *flags, compiler=compiler))


# an exception leads to what stands behind a call that never returns, with the block's address in a register
LANDING = """
	.text
	.globl use
	.type use, @function
use:
	.cfi_startproc
	push %%rbx
	.cfi_def_cfa_offset 16
	leaq variable@tlsld(%%rip), %%rdi
	call __tls_get_addr@plt
	movq %%rax, %%rbx
	call puts@plt
	incl variable@dtpoff(%%rbx)
	pop %%rbx
	ret
	xorl %%ebx, %%ebx
	call *%s(%%rip)
	incl variable@dtpoff(%%rbx)
	call abort@plt
	.cfi_endproc
	.size use, .-use
	.type stop, @function
stop:
	.cfi_startproc
	call abort@plt
	.cfi_endproc
	.size stop, .-stop
	.section .data.rel.ro, "aw"
word:
	.quad stop
	.section .tbss, "awT", @nobits
	.zero 40
variable:
	.zero 8
"""


@pytest.mark.parametrize("never_returns", ["abort@GOTPCREL", "_Unwind_Resume@GOTPCREL", "word"])
def test_all_are_found_behind_what_never_returns(idle_bench: Bench, never_returns: str) -> None:
    file = idle_bench.folder / "library.s"
    file.write_text(LANDING % never_returns)
    path = idle_bench.compile(file, "library.so", "-shared", "-Wl,--emit-relocs")
    assert not thread_local_references(read_image(path.read_bytes())).unclear
    _are_all_found(path)


def _are_all_found(path: Path) -> None:
    expected = _by_linker(path.read_bytes())
    found = thread_local_references(read_image(path.read_bytes()))
    # what lies before the block belongs to an array whose index does not start at 0
    outside = {it.place for it in found.accesses if it.offset < 0}
    assert outside == {place for place, target in expected if target < 0}
    assert set(found.unclear) == {it.instruction for it in found.accesses if it.offset < 0}
    rows = found.table[["place", "target"]].tolist()
    assert len(rows) == len(set(rows))
    assert set(rows) == {(place, target) for place, target in expected if target >= 0}
    assert all(it.sites <= set(found.sites["place"].tolist()) and it.sites for it in found.accesses)
    slots = {place for place, kind, _value, _addend in _rows(path.read_bytes()) if kind in (_TLSGD, _GOTTPOFF)}
    assert {it.place for it in found.accesses} == {place for place, _target in expected} - slots


def _rows(content: bytes) -> list[tuple[int, int, int, int]]:
    """Offset, type, symbol's value and addend of each relocation of the code by a thread-local symbol."""
    elf = ELFFile(io.BytesIO(content))
    found = []
    for section in elf.iter_sections():
        if not isinstance(section, RelocationSection) or not section.name.startswith(".rela.text"):
            continue
        symbols = elf.get_section(section["sh_link"])
        assert isinstance(symbols, SymbolTableSection)
        for row in section.iter_relocations():
            kind = row["r_info_type"]
            if kind in (_TLSGD, _TLSLD, _DTPOFF32, _GOTTPOFF):
                value = symbols.get_symbol(row["r_info_sym"])["st_value"]
                found.append((row["r_offset"], kind, value, row["r_addend"]))
    return found


def _by_linker(content: bytes) -> set[tuple[int, int]]:
    return {
        (offset, value + (addend if kind == _DTPOFF32 else addend + 4))
        for offset, kind, value, addend in _rows(content)
        if kind != _TLSLD
    }
