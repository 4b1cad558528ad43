"""The content of a stack that gives a thread of RISC-V all that it had, as the kernel takes it (rt_sigreturn(2))."""

import os
import random
import struct
import subprocess
from pathlib import Path

import pytest

from liveso.machine.calls import StoppedThread
from liveso.machine.riscv64_calls import RISCV64_CALLS

SOURCE = Path(__file__).parent / "programs" / "way_back_riscv64.c"
IS_NATIVE = os.uname().machine == "riscv64"
VECTORS = 0x901  # NT_RISCV_VECTOR (elf.h)
FLAGS = 0x61  # rounding up, an inexact result (RISC-V, "Floating-Point Control and Status Register")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("way_back") / "program"
    compiler = "gcc" if IS_NATIVE else "riscv64-linux-gnu-gcc"
    subprocess.run([compiler, "-static", "-O1", str(SOURCE), "-o", str(path)], check=True)
    return path


def told_after(program: Path, length: int, vectors: bytes) -> bytes:
    """What a thread tells of its vector registers whose general ones, and those for floating point, come back."""
    command = [str(program), str(length)] if IS_NATIVE else ["qemu-riscv64", str(program), str(length)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout
    place, arrived = map(int, process.stdout.readline().split())
    chance = random.Random(7)
    wanted = [arrived, *(chance.randrange(1 << 64) for _register in range(31))]
    wanted[2] = place - 4096
    floating = chance.randbytes(256) + struct.pack("<Q", FLAGS)
    thread = StoppedThread(struct.pack("<32Q", *wanted) + floating, VECTORS if vectors else 0, vectors, blocked=0)
    frame = RISCV64_CALLS.frame(thread, place)
    assert len(frame) <= RISCV64_CALLS.frame_size(len(vectors))
    content, _errors = process.communicate(frame, timeout=60)
    assert process.returncode == 0
    assert list(struct.unpack_from("<31Q", content)) == wanted[1:]
    assert content[248 : 248 + 264] == floating
    return content[248 + 264 :]


def test_registers_come_back(program: Path) -> None:
    assert told_after(program, 0, b"") == b""


@pytest.mark.skipif(not IS_NATIVE, reason="qemu-user 7.2 gives no vector registers back (make test-riscv64)")
def test_vector_registers_come_back(program: Path) -> None:
    length = 32  # as tools/emulated-system has them
    registers = random.Random(length).randbytes(32 * length)
    vl, vtype, vcsr = 5, 0xC0 | 2 << 3, 0b011  # five numbers of 32 bits; rounding to even ones, saturated
    found = told_after(program, length, struct.pack("<QQQQQ", 0, vl, vtype, vcsr, length) + registers)
    assert struct.unpack_from("<QQQ", found) == (vl, vtype, vcsr)
    assert found[24:] == registers
