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
