"""The references that are found in code, against the linker's own list (`--emit-relocs`): all of them, and no other."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from liveso.code import data_references, references_by_displacement
from liveso.code.functions import functions
from liveso.elf import read_image
from liveso.elf.data import data_layout
from tests.harness import Bench

_PC32, _PLT32 = 2, 4  # psABI x86-64, table 4.9: a displacement to the symbol itself

IN_C = """
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
typedef struct { char flag; short small; int number; long wide; double real; float vector[8]; } record;
static record records[64], one = {1, 2, 3, 4, 5.0, {6}};
static unsigned char bytes[300];
static short shorts[] = {1, 2, 3};
static atomic_long hits;
static int (*handler)(int);
__attribute__((visibility("hidden"))) int hidden = 5;
int exported = 6;
static __thread int in_thread;
static const int constants[] = {3, 1, 4, 1, 5, 9, 2, 6};
static const char *const names[] = {"one", "two"};
static int plain(int n) { return n + hidden; }
void store_constants(void)
{
	one.flag = 7, one.small = 0x1234, one.number = 0x12345678, one.wide = -1, hidden = 99, shorts[1] = 300;
	bytes[299] = 1, handler = plain;
}
int compare(int n)
{
	return (one.small == 1000) + (one.flag == 3) + (hidden > 70000) + (bytes[0] & 4) + constants[n & 7];
}
long arithmetic(long n)
{
	one.wide += n, one.number *= 3, one.real *= 1.5, hidden <<= n, hidden ^= 0x55aa;
	hits++, in_thread++;
	return atomic_fetch_add(&hits, n) + one.wide;
}
void each(int n)
{
	for (int i = 0; i < 64; i++)
		records[i].number += n, records[i].vector[i & 7] *= 2, records[i].real += one.real;
	for (int i = 0; i < 300; i++)
		bytes[i] ^= (unsigned char)n;
}
double sum(int first)
{
	double all = 0;
	for (int i = first; i < 64; i++)
		all += records[i - 1].real + records[63 - i].vector[2];
	return all;
}
void copy(int n) { memcpy(&records[n], &one, sizeof one), memset(bytes, n, sizeof bytes); }
int choose(int n)
{
	static int calls;
	switch (n) {
	case 0: return ++calls;
	case 1: return calls += exported;
	case 2: return handler ? handler(n) : 0;
	case 3: return hidden--;
	case 4: return (int)names[n & 1][0];
	case 5: return (int)(size_t)&records[3].real;
	case 6: return __sync_bool_compare_and_swap(&hidden, 4, 0x7fffffff);
	default: return plain(n);
	}
}
"""

IN_CXX = """
#include <map>
#include <mutex>
#include <string>
#include <vector>
namespace {
std::map<std::string, int> counts;
std::vector<std::string> words = {"a", "bc", "def"};
std::mutex mutex;
std::once_flag once;
struct Base { virtual ~Base() = default; virtual int value() const { return number; } int number = 4; };
struct Derived : Base { int value() const override { return number * 2 + total; } static int total; };
int Derived::total = 3;
Derived object;
thread_local std::string in_thread;
template <int n> struct Series { static long sum; static long add(long k) { return sum += k * n; } };
template <int n> long Series<n>::sum = n;
}
int look(const std::string &word)
{
	std::lock_guard<std::mutex> guard(mutex);
	static const std::string prefix = word + "-";
	in_thread += prefix;
	return ++counts[prefix + word];
}
int total() { int all = object.value(); for (auto &word : words) all += (int)word.size() + look(word); return all; }
long series(long n) { return Series<1>::add(n) + Series<2>::add(n) + Series<3>::add(n); }
void first() { try { std::call_once(once, [] { words.push_back("new"); }); } catch (...) { Derived::total--; throw; } }
"""


def listed_by_the_linker(path: Path) -> set[int]:
    """Places of displacements inside functions that lead to a variable, as the linker lists them."""
    image = read_image(path.read_bytes())
    variables = {section.name for section in data_layout(image).sections}
    ranges = [range(int(row["start"]), int(row["end"])) for row in functions(image)]
    places: set[int] = set()
    with path.open("rb") as file:
        elf = ELFFile(file)
        symbols = elf.get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        for section in elf.iter_sections():
            if not (isinstance(section, RelocationSection) and section.name.startswith(".rela.text")):
                continue
            for entry in section.iter_relocations():
                shndx = symbols.get_symbol(entry["r_info_sym"])["st_shndx"]
                if (
                    entry["r_info_type"] in (_PC32, _PLT32)
                    and isinstance(shndx, int)
                    and elf.get_section(shndx).name in variables
                    and any(entry["r_offset"] in it for it in ranges)
                ):
                    places.add(entry["r_offset"])
    return places


@pytest.mark.parametrize("language", ["C", "C++"])
@pytest.mark.parametrize(
    ("compiler", "level"), list(itertools.product(["gcc", "clang"], ["-O0", "-O1", "-O2", "-O3", "-Os"]))
)
def test_every_reference_that_the_linker_lists_is_found(
    idle_bench: Bench, compiler: str, level: str, language: str
) -> None:
    command = {"gcc": "g++", "clang": "clang++"}[compiler] if language == "C++" else compiler
    source = IN_CXX if language == "C++" else IN_C
    path = idle_bench.compile(source, "lib.so", level, "-fPIC", "-shared", "-Wl,--emit-relocs", compiler=command)
    image = read_image(path.read_bytes())
    known = data_references(image)
    expected = listed_by_the_linker(path)
    assert len(expected) > 20
    found = known.table["place"]
    assert len(np.unique(found)) == len(found)
    assert set(found.tolist()) == expected
    assert not known.undecoded and not known.unclear


@pytest.mark.parametrize("has_functions", [True, False])
def test_the_same_references_are_found_where_code_is_decoded_in_parts(
    idle_bench: Bench, monkeypatch: pytest.MonkeyPatch, has_functions: bool
) -> None:
    options = () if has_functions else ("-fno-asynchronous-unwind-tables", "-fno-unwind-tables")
    image = read_image(idle_bench.compile(IN_C, "lib.so", "-O2", "-fPIC", "-shared", *options).read_bytes())
    whole = data_references(image)
    monkeypatch.setattr(references_by_displacement, "_AT_ONCE", 3)
    parts = data_references(image)
    assert len(whole.table) > 20
    assert parts.table.tolist() == whole.table.tolist()
    assert (parts.outside, parts.doubtful, parts.undecoded) == (whole.outside, whole.doubtful, whole.undecoded)


UNREADABLE = """
struct operations { int (*run)(int); };
static int count;
static int run(int n) { return n + count; }
static const struct operations all = {run};
int __attribute__((noinline)) call(const struct operations *it) { return it->run(count++); }
const void *after(void)
{
	__asm__ volatile(".byte 0x06"); // no instruction of this machine
	return FORMED;
}
"""


@pytest.mark.parametrize("formed", ["&count", "&all", "(void *)run"])
def test_code_that_cannot_be_decoded_is_named_whatever_it_may_refer_to(idle_bench: Bench, formed: str) -> None:
    options = ("-O2", "-s", "-fPIC", "-shared", f"-DFORMED={formed}")
    image = read_image(idle_bench.compile(UNREADABLE, "lib.so", *options).read_bytes())
    known = data_references(image)
    assert len(known.undecoded) == 1
