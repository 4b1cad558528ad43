"""Calls of threads that have vector registers, of which RISC-V's kernel gives more than there is."""

import struct

from liveso.holder.facts import facts_of
from liveso.machine.calls import StoppedThread
from liveso.machine.riscv64_calls import RISCV64_CALLS

LENGTH = 32
HEADER = struct.pack("<QQQQQ", 0, 5, 0xD0, 0, LENGTH)  # struct __riscv_v_regset_state
REGISTERS = struct.pack("<32Q", *range(100, 132))
PLACE = 0x7FFF0000


def test_vector_registers_are_as_long_as_their_header_says() -> None:
    facts = facts_of(RISCV64_CALLS.stops.written())
    assert facts.size_of(HEADER.ljust(1 << 16, b"\0")) == 40 + 32 * LENGTH


def test_a_record_of_the_vector_registers_says_where_they_lie() -> None:
    vectors = HEADER + bytes(range(256)) * 4
    frame = RISCV64_CALLS.frame(StoppedThread(REGISTERS + bytes(264), 0x901, vectors, blocked=5), PLACE)
    assert len(frame) == RISCV64_CALLS.frame_size(len(vectors))
    record = 304 + 256 + 520  # struct rt_sigframe: where struct __riscv_extra_ext_header has its first record
    assert frame[304:560] == REGISTERS
    assert struct.unpack_from("<II", frame, record) == (0x53465457, 8 + 48 + 32 * LENGTH)  # RISCV_V_MAGIC
    assert frame[record + 8 : record + 48] == HEADER
    assert struct.unpack_from("<Q", frame, record + 48) == (PLACE + record + 56,)
    assert frame[record + 56 : -8] == vectors[40:]
    assert frame[-8:] == bytes(8)


def test_a_call_takes_the_number_of_the_one_that_a_thread_stands_before_away() -> None:
    thread = StoppedThread(REGISTERS + bytes(264), 0, b"", blocked=0)
    found = struct.unpack("<32Q", RISCV64_CALLS.registers(thread, 0x1000, [7, 8], 0x2000, PLACE, 0x3000))
    assert (found[0], found[1], found[2], found[8]) == (0x2000, 0, PLACE, 0)  # pc, ra, sp, s0
    assert (found[9], found[18]) == (0x1000, 0x3000)  # s1, s2
    assert found[10:13] == (7, 8, 112)
    assert found[17] == (1 << 64) - 1
    assert found[3:5] == (103, 104)  # gp, tp
