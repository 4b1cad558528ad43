"""Debug information is found and read wherever it may be, in every form that Debian's tools give it."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from liveso.elf import read_image
from liveso.verdict import DebugSource, Finding, judge
from tests.harness import LIVESO, wait_until

SOURCE = """
#include <stdlib.h>
struct inner { int number; %s char name[12]; };
struct outer { struct inner *inner; struct outer *next; };
static struct outer *all;
struct outer *add(struct inner *it)
{
	struct outer *made = malloc(sizeof *made);
	made->inner = it;
	made->next = all;
	return all = made;
}
int count(void) { int n = 0; for (struct outer *it = all; it; it = it->next) n++; return n; }
"""
MOVED = "struct inner: member name moved from 4 to 8"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIVE_STORE", str(tmp_path / "store"))
    return tmp_path


def build(folder: Path, *flags: str) -> tuple[Path, Path]:
    """Two versions: a member moves in a structure that no code of the library touches."""
    paths = []
    for name, member in (("old", ""), ("new", "int added;")):
        path = folder / name / "libsubject.so"
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "subject.c").write_text(SOURCE % member)
        command = ["gcc", "-O2", "-shared", "-fPIC", "-Wl,-soname,libsubject.so", "-Wl,--build-id", *flags]
        subprocess.run([*command, "-o", str(path), str(path.parent / "subject.c")], check=True)
        paths.append(path)
    return paths[0], paths[1]


def separate(path: Path, debug: Path) -> None:
    """Move the debug information of the file at `path` to `debug`."""
    debug.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["objcopy", "--only-keep-debug", str(path), str(debug)], check=True)
    subprocess.run(["strip", "--strip-all", str(path)], check=True)


def by_build_id(folder: Path, path: Path) -> Path:
    build_id = read_image(path.read_bytes()).build_id
    return folder / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"


def refusals(old: Path, new: Path, source: DebugSource) -> tuple[Finding, ...]:
    return judge(read_image(old.read_bytes()), read_image(new.read_bytes()), debug_source=source).refusals(None)


@pytest.mark.parametrize("flags", [("-gdwarf-4",), ("-gdwarf-5",), ("-gdwarf-4", "-gz"), ("-gdwarf-5", "-gz=zlib")])
def test_it_is_read_from_the_file(folder: Path, flags: tuple[str, ...]) -> None:
    old, new = build(folder, *flags)
    assert MOVED in [it.text for it in refusals(old, new, DebugSource())]
    assert not refusals(old, old, DebugSource())


def test_without_it_nothing_tells(folder: Path) -> None:
    """The pairs of this file differ in what stripped code does not show."""
    assert not refusals(*build(folder, "-s"), DebugSource())


def test_it_is_found_by_build_id(folder: Path) -> None:
    old, new = build(folder, "-g")
    for path in (old, new):
        separate(path, by_build_id(folder / "debug", path))
    assert MOVED in [it.text for it in refusals(old, new, DebugSource((str(folder / "debug"),)))]
    shown = subprocess.run(
        [LIVESO, "check", old, new, "--debug-dir", folder / "debug"], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 1 and MOVED in shown.stdout


def test_it_is_found_by_debug_link(folder: Path) -> None:
    old, new = build(folder, "-g", "-Wl,--build-id=none")
    for path in (old, new):
        debug = path.parent / ".debug" / "libsubject.debug"
        separate(path, debug)
        subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", str(path)], check=True)
    shown = subprocess.run([LIVESO, "check", old, new], capture_output=True, text=True, check=False)
    assert shown.returncode == 1 and MOVED in shown.stdout


def test_what_several_files_share_is_followed(folder: Path) -> None:
    """dwz(1) moves what debug files have in common to one of their own; here all but what differs."""
    old, new = build(folder, "-g")
    debug = [by_build_id(folder / "debug", path) for path in (old, new)]
    for path, place in zip((old, new), debug, strict=True):
        separate(path, place)
    shared = folder / "debug" / ".dwz" / "subject.debug"
    shared.parent.mkdir()
    subprocess.run(["dwz", "-m", str(shared), "-M", str(shared), *map(str, debug)], check=True)
    assert all(b".gnu_debugaltlink" in place.read_bytes() for place in debug)
    source = DebugSource((str(folder / "debug"),))
    assert MOVED in [it.text for it in refusals(old, new, source)]
    assert not refusals(new, new, source)


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    """The address of a debuginfod server that offers what is below `served`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "served").mkdir()
    command = ["debuginfod", "-F", "-d", ":memory:", "-p", str(port), "-t", "1", str(folder / "served")]
    with (folder / "debuginfod.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def _offers(address: str) -> bool:
    try:
        return bool(urllib.request.urlopen(address, timeout=5).status == 200)
    except (urllib.error.URLError, OSError):
        time.sleep(0.1)
        return False


def test_it_is_asked_of_a_server(folder: Path, server: str) -> None:
    old, new = build(folder, "-g")
    for path in (old, new):
        separate(path, folder / "served" / f"{path.parent.name}.debug")
    for path in (old, new):
        address = f"{server}/buildid/{read_image(path.read_bytes()).build_id}/debuginfo"
        wait_until(partial(_offers, address), "the server to know both files")
    environment = {
        **os.environ,
        "DEBUGINFOD_URLS": server,
        "DEBUGINFOD_CACHE_PATH": str(folder / "cache"),
    }
    for options, code in ((("--no-debuginfod",), 0), ((), 1)):
        shown = subprocess.run(
            [LIVESO, "check", old, new, *options], env=environment, capture_output=True, text=True, check=False
        )
        assert shown.returncode == code, shown.stdout
        assert (MOVED in shown.stdout) == bool(code)


ACCOUNTS = """
struct account { long number; %s long balance; };
long sum(struct account *it) { return it->number + 3 * it->BALANCE; }
void set(struct account *it, long number) { it->number = number; it->BALANCE = 7 * number; }
"""
OTHERS = "struct other { long first, second; }; long other(struct other *it) { return it->first; }"


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize(
    ("flags", "member", "balance", "is_refused"),
    [
        ("-g", "long limit;", "limit", False),
        ("-gdwarf-4", "long limit;", "limit", False),
        ("-g -ffunction-sections", "long limit;", "limit", False),
        ("-g0", "", "balance", True),
        ("-g1", "", "balance", True),
    ],
)
def test_it_tells_edits_only_in_code_that_it_describes(
    folder: Path, compiler: str, flags: str, member: str, balance: str, is_refused: bool
) -> None:
    """The same code comes from another member that is accessed, and, without types, from one that moved; of the rest
    of the library the types are known."""
    versions = []
    for name, members, accessed in (("old", member, "balance"), ("new", member or "long limit;", balance)):
        (folder / name).mkdir()
        for part, text, options in (
            ("accounts", ACCOUNTS % members, [*flags.split(), f"-DBALANCE={accessed}"]),
            ("others", OTHERS, ["-g"]),
        ):
            (folder / name / f"{part}.c").write_text(text)
            command = [compiler, "-O2", "-fPIC", *options, "-c", f"{part}.c", "-o", f"{part}.o"]
            subprocess.run(command, check=True, cwd=folder / name)
        subprocess.run([compiler, "-shared", "accounts.o", "others.o", "-o", "a.so"], check=True, cwd=folder / name)
        versions.append(folder / name / "a.so")
    old, new = versions
    moved = [it.text for it in refusals(old, new, DebugSource()) if "witness that a member moved" in it.text]
    assert bool(moved) == is_refused


BOOK = """
pub struct Account { number: u64, %s balance: u64 }
pub mod shop { pub struct Book { pub first: Option<Box<super::Account>>, pub count: u8 } }
#[no_mangle]
pub extern "C" fn add(book: &mut shop::Book, number: u64) {
    book.first = Some(Box::new(Account { number, %s balance: 3 }));
    book.count += 1;
}
#[no_mangle]
pub extern "C" fn balance(book: &shop::Book) -> u64 {
    book.first.as_ref().map_or(0, |it| it.balance + it.number)
}
"""


def test_types_in_modules_of_rust_are_compared(folder: Path) -> None:
    versions = []
    for name, member, value in (("old", "", ""), ("new", "closed: u64,", "closed: 0,"), ("same", "", "")):
        text = (BOOK % (member, value)).replace("balance: 3", "balance: 4" if name == "same" else "balance: 3")
        (folder / name).mkdir()
        (folder / name / "book.rs").write_text(text)
        command = ["rustc", "--crate-type=cdylib", "--crate-name=book", "-Copt-level=0", "-g", "-Awarnings", "book.rs"]
        subprocess.run(command, check=True, cwd=folder / name)
        versions.append(folder / name / "libbook.so")
    old, new, same = versions
    assert "struct Account changes from 16 to 24 bytes" in [it.text for it in refusals(old, new, DebugSource())]
    assert not refusals(old, same, DebugSource())
