"""The start-up functions that compilers link into each library (crtbeginS.o) are told, whatever runs before them."""

import subprocess
from pathlib import Path

import pytest

from liveso.code import functions
from liveso.code.start_up import start_up_stubs
from liveso.elf import read_image

SOURCE = """
int ready, done;
__attribute__((constructor(101))) static void first(void) { ready = 1; }
__attribute__((constructor)) static void second(void) { ready = 2; }
__attribute__((destructor(101))) static void last(void) { done = 1; }
int lib_ready(void) { return ready + done; }
"""
OWN = ("first", "second", "last", "lib_ready")
THEIRS = ("deregister_tm_clones", "register_tm_clones", "__do_global_dtors_aux", "frame_dummy")


@pytest.mark.parametrize("compiler", ["gcc", "aarch64-linux-gnu-gcc"])
@pytest.mark.parametrize("source", [SOURCE, "int lib_ready(void) { return 1; }"], ids=["own", "none of its own"])
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_they_are_told_from_what_runs_before_them(tmp_path: Path, compiler: str, source: str, level: str) -> None:
    path = tmp_path / "library.so"
    command = [compiler, "-w", "-shared", "-fPIC", level, "-xc", "-", "-o", str(path)]
    subprocess.run(command, input=source, text=True, check=True)
    named = subprocess.check_output(["nm", str(path)], text=True).split("\n")
    places = {line.split()[2]: int(line.split()[0], 16) for line in named if len(line.split()) == 3}
    image = read_image(path.read_bytes())
    found = start_up_stubs(image, functions(image))
    assert [it for it in THEIRS if places[it] not in found] == []
    assert [it for it in OWN if places.get(it) in found] == []
