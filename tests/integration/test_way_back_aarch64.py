"""The content of a stack that gives a thread of AArch64 all that it had, as the kernel takes it (rt_sigreturn(2))."""

import random
import struct
import subprocess
from pathlib import Path

import pytest

from liveso.machine.aarch64_calls import AARCH64_CALLS
from liveso.machine.calls import StoppedThread

SOURCE = Path(__file__).parent / "programs" / "way_back_aarch64.c"
FP, SVE = 2, 0x405  # elf.h, NT_*
STATUS, CONTROL = 0x08000010, 0x00C00000  # QC and UFC; rounding towards zero


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("way_back") / "program"
    subprocess.run(["aarch64-linux-gnu-gcc", "-static", "-O1", str(SOURCE), "-o", str(path)], check=True)
    return path


def told_after(program: Path, length: int, vector_set: int, vectors: bytes) -> tuple[list[int], bytes]:
    """The registers that a thread gets whose vector registers were `vectors`, as bytes behind the general ones, and
    which general ones it is to get."""
    cpu = f"max,sve-default-vector-length={length}" if length else "max,sve=off"
    process = subprocess.Popen(
        ["qemu-aarch64", "-cpu", cpu, str(program), str(length)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin and process.stdout
    place, arrived = map(int, process.stdout.readline().split())
    wanted = [random.Random(7).randrange(1 << 64) for _register in range(31)] + [place - 4096, arrived, 0]
    thread = StoppedThread(struct.pack("<35Q", *wanted, 0), vector_set, vectors, blocked=0)
    frame = AARCH64_CALLS.frame(thread, place)
    assert len(frame) <= AARCH64_CALLS.frame_size(len(vectors))
    content, _errors = process.communicate(frame, timeout=60)
    assert process.returncode == 0
    assert list(struct.unpack_from("<32Q", content)) == wanted[:32]
    assert struct.unpack_from("<2Q", content, 256) == (STATUS, CONTROL)
    return wanted, content[272:]


def test_vector_registers_come_back(program: Path) -> None:
    vectors = random.Random(1).randbytes(512)
    _wanted, found = told_after(program, 0, FP, vectors + struct.pack("<II8x", STATUS, CONTROL))
    assert found == vectors


def test_vector_registers_come_back_that_a_processor_with_longer_ones_has_kept_short(program: Path) -> None:
    vectors = random.Random(2).randbytes(512)
    header = struct.pack("<IIHHHH", 16 + 528, 16 + 528, 64, 64, 0, 0)
    _wanted, found = told_after(program, 64, SVE, header + vectors + struct.pack("<II8x", STATUS, CONTROL))
    assert b"".join(found[at : at + 16] for at in range(0, 32 * 64, 64)) == vectors


@pytest.mark.parametrize("length", [16, 64, 256], ids="{} bytes".format)
def test_scalable_registers_come_back(program: Path, length: int) -> None:
    size = 32 * length + 17 * (length // 8)
    registers = random.Random(length).randbytes(size - length // 8) + b"\xff" * (length // 8)  # ffr: from the lowest on
    payload = registers.ljust(-(-(16 + size) // 16) * 16 - 16, b"\0") + struct.pack("<II8x", STATUS, CONTROL)
    header = struct.pack("<IIHHHH", 16 + len(payload), 16 + len(payload), length, length, 1, 0)
    _wanted, found = told_after(program, length, SVE, header + payload)
    assert found == registers
