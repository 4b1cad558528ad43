"""`python -m liveso`: a script runs as with plain python, and its extension modules are kept up to date."""

import subprocess
import sys
import sysconfig
from typing import Any

import pybind11
import pytest

from tests.harness import AGENT, BIN, Bench, Program

SHOW = """
import sys, os, json
print(json.dumps([sys.argv, sys.path[0], __name__, sys.flags.dev_mode, sys.executable, sys.prefix]))
print(sorted(it for it in os.environ if not it.startswith("LIVE_") and it not in ("LD_PRELOAD", "_")))
raise {ending}
"""
LOOP = """
import sys, account
for line in sys.stdin:
    print(account.{call}, flush=True)
"""
CYTHON = """
# cython: language_level=3
cdef int taken = 0

def fee(int amount):
    global taken
    taken += 1
    return amount // RATE, taken
"""
C_API = """
#include <Python.h>
static int taken;
static PyObject *fee(PyObject *module, PyObject *amount)
{
    return Py_BuildValue("(li)", PyLong_AsLong(amount) / RATE, ++taken);
}
static PyMethodDef methods[] = {{"fee", fee, METH_O, "a fee"}, {0}};
static struct PyModuleDef account = {PyModuleDef_HEAD_INIT, "account", "fees", -1, methods};
PyMODINIT_FUNC PyInit_account(void)
{
    return PyModule_Create(&account);
}
"""
PYBIND11 = """
#include <pybind11/pybind11.h>
namespace py = pybind11;
static int taken;
PYBIND11_MODULE(account, module) {
    module.def("fee", [](int amount) { return py::make_tuple(amount / RATE, ++taken); });
}
"""


def python(bench: Bench, *words: str, options: tuple[str, ...] = (), **more: Any) -> "subprocess.CompletedProcess[str]":
    environment = {**bench.environment, "LIVE_DISABLE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *options, *words]
    return subprocess.run(
        command, env=environment, cwd=bench.folder, capture_output=True, text=True, check=False, **more
    )


@pytest.mark.parametrize("ending", ["SystemExit(3)", "ValueError('no')"])
@pytest.mark.parametrize(
    ("words", "options"),
    [
        (("sub/script.py", "a b", "-m", "--help"), ("-X", "dev")),
        (("-m", "sub.script", "x"), ()),
        (("-c", "import runpy; runpy.run_path('sub/script.py')", "y"), ("-B",)),
    ],
    ids=["script", "module", "code"],
)
def test_all_is_as_with_plain_python(
    idle_bench: Bench, words: tuple[str, ...], options: tuple[str, ...], ending: str
) -> None:
    (idle_bench.folder / "sub").mkdir()
    (idle_bench.folder / "sub/script.py").write_text(SHOW.format(ending=ending))
    plain = python(idle_bench, *words, options=options)
    with_us = python(idle_bench, "-m", "liveso", *words, options=options)
    assert plain.stdout.count("\n") == 2
    assert (with_us.stdout, with_us.stderr, with_us.returncode) == (plain.stdout, plain.stderr, plain.returncode)


def test_a_script_on_standard_input_has_live_so(idle_bench: Bench) -> None:
    done = python(idle_bench, "-m", "liveso", "-", "x", input="import os; print(os.environ['LD_PRELOAD'])\n")
    assert (done.stdout, done.stderr) == (f"{AGENT}\n", "")


def test_commands_are_still_commands(idle_bench: Bench) -> None:
    (idle_bench.folder / "run").write_text("print('script')\n")
    done = python(idle_bench, "-m", "liveso", "run", "echo", "command")
    assert done.stdout == "command\n"
    note = "liveso: run is a command of liveso; for the script of this name: python -m liveso ./run\n"
    assert done.stderr == note
    assert python(idle_bench, "-m", "liveso", "./run").stdout == "script\n"


def test_what_is_neither_is_one_line(idle_bench: Bench) -> None:
    done = python(idle_bench, "-m", "liveso", "statsu")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "statsu: there is no such script, and no such command" in done.stderr


def start(bench: Bench, call: str) -> Program:
    (bench.folder / "show.py").write_text(LOOP.format(call=call))
    program = bench.run_plain(sys.executable, "-m", "liveso", "show.py")
    bench.library(program.pid, "account.so")
    return program


def ask(program: Program) -> str:
    before = len(program.lines)
    program.ask("")
    return program.wait_for("", before)


def make(bench: Bench, name: str, rate: int) -> None:
    source = bench.folder / name
    flags = ["-O1", "-fPIC", "-shared", "-w", f"-I{sysconfig.get_path('include')}"]
    if source.suffix == ".pyx":
        source.write_text(CYTHON.replace("RATE", str(rate)))
        subprocess.run([BIN / "cython", "-3", source], check=True)
        bench.compile(source.with_suffix(".c"), "account.so", *flags)
        return
    if source.suffix == ".c":
        source.write_text(C_API.replace("RATE", str(rate)))
        bench.compile(source, "account.so", *flags)
        return
    source.write_text(PYBIND11.replace("RATE", str(rate)))
    flags += ["-std=c++17", "-fvisibility=hidden", f"-I{pybind11.get_include()}"]
    bench.compile(source, "account.so", *flags, compiler="g++")


@pytest.mark.parametrize("name", ["account.c", "account.pyx", "account.cpp"], ids=["c-api", "cython", "pybind11"])
def test_an_extension_module_is_rebuilt_while_the_script_runs(bench: Bench, name: str) -> None:
    make(bench, name, 10)
    program = start(bench, "fee(100)")
    assert ask(program) == "(10, 1)"
    make(bench, name, 5)
    bench.wait_for_version("account.so", "account.so", program.pid)
    assert ask(program) == "(20, 2)"
    assert program.end() == 0
