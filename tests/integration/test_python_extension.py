"""Extension modules of CPython are rebuilt while the interpreter that imported them runs."""

import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.harness import BIN, Bench, Program

EXAMPLE = Path(__file__).parents[2] / "examples" / "python_extension"

CYTHON = """
# cython: language_level=3
cdef int fees_taken = 0

cdef int fee_of(int amount):
    return amount // FEE

cdef class Account:
    cdef int balance
    cdef public str owner

    def __init__(self, owner):
        self.owner = owner

    def deposit(self, int amount):
        global fees_taken
        self.balance += amount - fee_of(amount)
        fees_taken += fee_of(amount)
        return self.balance

    def __len__(self):
        return self.balance * FEE

    @property
    def taken(self):
        return fees_taken

def fee(int amount, *, int times=1):
    return sum([fee_of(amount) for _ in range(times)])

def fees(amounts):
    for amount in amounts:
        yield fee_of(amount)
"""

SHOW_CYTHON = """
import sys
from account import Account, fee, fees
mine = Account("me")
deposit = mine.deposit
for line in sys.stdin:
    said = deposit(100), mine.deposit(10), len(mine), mine.taken, mine.owner, fee(100, times=2), *fees([100])
    print(*said, flush=True)
"""

SHOW_C = """
import sys
from thermometer import Thermometer, describe
class Kitchen(Thermometer):
    pass
mine, kitchen = Thermometer(), Kitchen()
mine.celsius, read, kitchen.celsius = 36.6, mine.read, 21.0
for line in sys.stdin:
    print(describe(20), read(), mine.read(), kitchen.read(), mine, Thermometer().celsius, sep=" | ", flush=True)
"""


def build(bench: Bench, source: Path, name: str) -> None:
    """Compile an extension module as setuptools does, and put it in its place in one step."""
    include = sysconfig.get_path("include")
    flags = ("-O2", "-g", "-fwrapv", "-fPIC", "-shared", f"-I{include}", "-w")
    bench.compile(source, f"{name}.so", *flags)


def ask(program: Program) -> str:
    before = len(program.lines)
    program.ask("")
    return program.wait_for("", before)


def expected(unit: str, room: str, body: str, kitchen: str, first: int) -> str:
    readings = [f"{text} {unit} (reading {first + n})" for n, text in enumerate((room, body, body, kitchen, body))]
    return " | ".join([*readings[:4], f"<thermometer {readings[4]}>", "0.0"])


def test_functions_and_objects_from_before_run_new_code(bench: Bench) -> None:
    text = (EXAMPLE / "thermometer.c").read_text()
    source = bench.folder / "thermometer.c"
    source.write_text(text)
    build(bench, source, "thermometer")
    program = bench.run(sys.executable, "-c", SHOW_C)
    bench.library(program.pid, "thermometer.so")
    assert ask(program) == expected("C", "20.0", "36.6", "21.0", 1)
    source.write_text(text.replace("celsius; /* degrees", "celsius * 2; /* degrees").replace("%.1f C", "%.1f X"))
    build(bench, source, "thermometer")
    bench.wait_for_version("thermometer.so", "thermometer.so", program.pid)
    assert ask(program) == expected("X", "40.0", "73.2", "42.0", 6)
    source.write_text(text.replace("PyObject_HEAD double celsius", "PyObject_HEAD long made; double celsius"))
    build(bench, source, "thermometer")
    reason = bench.wait_for_result(program.pid, "thermometer.so", "refused")["reason"]
    assert "celsius" in reason or "thermometer" in reason
    assert ask(program) == expected("X", "40.0", "73.2", "42.0", 11)
    assert program.end() == 0


def test_a_module_made_by_cython(bench: Bench) -> None:
    def make(fee: int) -> None:
        source = bench.folder / "account.pyx"
        source.write_text(CYTHON.replace("FEE", str(fee)))
        subprocess.run([BIN / "cython", "-3", source], check=True)
        build(bench, source.with_suffix(".c"), "account")

    make(10)
    program = bench.run(sys.executable, "-c", SHOW_CYTHON)
    bench.library(program.pid, "account.so")
    assert ask(program) == "90 99 990 11 me 20 10"
    make(5)
    bench.wait_for_version("account.so", "account.so", program.pid)
    assert ask(program) == "179 187 935 33 me 40 20"
    assert program.end() == 0
