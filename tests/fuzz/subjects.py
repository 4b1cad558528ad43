"""The libraries that are damaged: small ones of several compilers and languages, and some of Debian's."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "corpus" / "mutations"
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
_DEBIAN = ("libattr.so.1", "libcap.so.2", "libuuid.so.1", "libz.so.1")
_STORE = (SOURCES / "store.c").read_text()

_THREADS = """
#include <stdlib.h>
static __thread int count = 3; static __thread char name[40]; __thread long seen; extern __thread int other;
static int total; int *const places[3] = {&total, 0, &total};
static int one(int x) { return x + total; } static int two(int x) { return x - total; }
int (*const methods[4])(int) = {one, two, one, two};
__attribute__((constructor)) static void begin(void) { total = 1; }
int next(int at) { name[at % 40]++; seen += count; total++; return ++count + name[0] + other; }
int call(int which, int x) { return methods[which & 3](x); }
void *make(void) { void **p = malloc(48); p[3] = (void *)methods[1]; return p; }
int asked(void **p) { return p[2] == (void *)one ? 1 : p[3] == (void *)two; }
"""
_CLASSES = """
#include <stdexcept>
#include <string>
#include <vector>
struct Base { virtual ~Base() {} virtual int size() const { return 1; } };
struct Derived : Base { std::vector<int> all; int size() const override { return (int)all.size(); } };
static thread_local std::string last = "none";
static std::vector<Base *> known;
Base *make(int n) {
    if (n < 0) throw std::runtime_error("negative");
    known.push_back(new Derived);
    last = "made";
    return known.back();
}
int total() { int sum = 0; for (auto *it : known) sum += it->size(); return sum + (int)last.size(); }
"""
_RUST = """
#![crate_type = "cdylib"]
#![no_std]
#[panic_handler] fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
static mut COUNT: [u32; 8] = [7; 8];
#[no_mangle] pub extern "C" fn count(at: usize) -> u32 { unsafe { COUNT[at & 7] += 1; COUNT[at & 7] } }
#[no_mangle] pub extern "C" fn sum(of: &[u32; 8]) -> u32 {
    of.iter().zip(unsafe { &*core::ptr::addr_of!(COUNT) }).map(|(a, b)| a * b).sum()
}
"""
_VERSIONS = "ONE { global: make; asked; local: *; }; TWO { global: next; call; seen; places; methods; } ONE;\n"


def build(folder: Path) -> Iterator[Path]:
    """Build the libraries in `folder`, or find them. What this machine has no compiler for is left out."""
    script = folder / "versions.map"
    script.write_text(_VERSIONS)
    gcc, clang = ("gcc", "-x", "c", "-w", "-shared", "-fPIC"), ("clang", "-x", "c", "-w", "-shared", "-fPIC")
    crossing = ("aarch64-linux-gnu-gcc", "-x", "c", "-w", "-shared", "-fPIC")
    g_plus_plus = ("g++", "-x", "c++", "-w", "-shared", "-fPIC", "-O1")
    rust = ("rustc", "-O", "-C", "panic=abort", "-C", "link-arg=-nostartfiles")
    for name, text, command in (
        ("store-debug", _STORE, (*gcc, "-O2", "-g")),
        ("store-compressed", _STORE, (*gcc, "-O1", "-g", "-gz=zlib")),
        ("store-clang", _STORE, (*clang, "-O2", "-g")),
        ("store-stripped", _STORE, (*gcc, "-O2", "-s", "-Wl,-z,lazy")),
        ("threads", _THREADS, (*gcc, "-O2", f"-Wl,--version-script={script}")),
        ("threads-packed", _THREADS, (*gcc, "-O0", "-s", "-Wl,-z,pack-relative-relocs", "-Wl,-soname,libthreads.so")),
        ("threads-clang", _THREADS, (*clang, "-O1", "-g")),
        ("classes", _CLASSES, (*g_plus_plus, "-s")),
        ("classes-debug", _CLASSES, (*g_plus_plus, "-g")),
        ("rust", _RUST, rust),
        ("store-aarch64", _STORE, (*crossing, "-O2", "-g")),
        ("threads-aarch64", _THREADS, (*crossing, "-O2", "-s")),
    ):
        if shutil.which(command[0]):
            path = folder / f"{name}.so"
            subprocess.run([*command, "-o", path, "-"], input=text, text=True, check=True)
            yield path
    yield from (path for name in _DEBIAN if (path := LIBRARIES / name).exists())
