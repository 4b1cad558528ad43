"""Threads that are stopped in system calls of AArch64, whose kernel forgets about the call: what they go on with."""

import errno
import struct

import pytest

from liveso.holder import threads, waits
from liveso.holder.waits import Waits
from liveso.machine.aarch64_calls import AARCH64_CALLS

EPOLL_PWAIT, NANOSLEEP, CLOCK_NANOSLEEP, FUTEX, READ, RESTART = 22, 101, 115, 98, 63, 128
CODE, STACK, THREAD = 0xAAAA0000, 0xFFFF0000, 7  # behind the instruction that makes the call
NUMBER, PC = 8, 32


class Kernel:
    """What it tells of a thread."""

    def __init__(self) -> None:
        self.registers = [0] * 34
        self.call = "running"
        self.switches = 3
        self.caught = 0

    def wait_in(self, number: int, *arguments: int) -> None:
        given = [*arguments, *[0] * (6 - len(arguments))]
        self.call = f"{number} {' '.join(map(hex, given))} {STACK:#x} {CODE:#x}"
        self.registers[: len(given)] = given
        self.registers[NUMBER], self.registers[31] = number, STACK

    def stop(self, result: int | None = None) -> None:
        """The thread stands at the instruction, or behind it with a result."""
        self.switches += 1
        self.registers[PC] = CODE if result is not None else CODE - 4
        if result is not None:
            self.registers[0] = result % (1 << 64)

    def written(self) -> bytes:
        return struct.pack("<34Q", *self.registers)

    def write(self, _thread: int, _kind: int, content: bytes) -> bool:
        self.registers = list(struct.unpack("<34Q", content))
        return True

    def field(self, _pid: int, _thread: int, name: str) -> str:
        return {"voluntary_ctxt_switches": str(self.switches), "SigCgt": f"{self.caught:016x}"}[name]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    it = Kernel()
    monkeypatch.setattr(waits, "read_registers", lambda *_asked: it.written())
    monkeypatch.setattr(waits, "write_registers", it.write)
    monkeypatch.setattr(waits, "field_of", it.field)
    monkeypatch.setattr(threads, "field_of", it.field)
    monkeypatch.setattr(waits, "system_call_of", lambda *_asked: it.call.split())
    return it


def noted() -> Waits:
    found = Waits(1, AARCH64_CALLS.stops)
    found.note(THREAD)
    return found


def test_a_call_that_the_stop_ended_is_made_again_with_its_first_argument(kernel: Kernel) -> None:
    kernel.wait_in(EPOLL_PWAIT, 5, 0x1000, 16)
    found = noted()
    kernel.stop(-errno.EINTR)
    found.let_go_on(THREAD, 0)
    assert (kernel.registers[0], kernel.registers[PC], kernel.registers[NUMBER]) == (5, CODE - 4, EPOLL_PWAIT)


@pytest.mark.parametrize("result", [0, 1, -errno.EBADF])
def test_a_call_that_has_ended_by_itself_is_not_made_again(kernel: Kernel, result: int) -> None:
    kernel.wait_in(EPOLL_PWAIT, 5)
    found = noted()
    kernel.stop(result)
    before = list(kernel.registers)
    found.let_go_on(THREAD, 0)
    assert kernel.registers == before


def test_a_call_that_is_no_longer_the_one_which_was_seen_is_left_alone(kernel: Kernel) -> None:
    kernel.wait_in(EPOLL_PWAIT, 5)
    found = noted()
    kernel.switches += 1  # it has waited once more: in the same call with other arguments, perhaps
    kernel.stop(-errno.EINTR)
    before = list(kernel.registers)
    assert found.registers(THREAD) == kernel.written()
    found.let_go_on(THREAD, 0)
    assert kernel.registers == before


def test_a_call_that_the_kernel_does_not_end_for_a_stop_has_ended_by_itself(kernel: Kernel) -> None:
    kernel.wait_in(READ, 5)
    found = noted()
    kernel.stop(-errno.EINTR)
    before = list(kernel.registers)
    found.let_go_on(THREAD, 0)
    assert kernel.registers == before


@pytest.mark.parametrize(("is_caught", "is_made_again"), [(True, False), (False, True)])
def test_the_handler_of_a_signal_finds_the_call_ended(kernel: Kernel, is_caught: bool, is_made_again: bool) -> None:
    kernel.wait_in(EPOLL_PWAIT, 5)
    kernel.caught = 1 << 9 if is_caught else 0
    found = noted()
    kernel.stop(-errno.EINTR)
    found.let_go_on(THREAD, 10)
    assert (kernel.registers[PC] == CODE - 4) is is_made_again


@pytest.mark.parametrize(
    ("number", "arguments", "expected"),
    [
        (NANOSLEEP, (0x1000, 0), RESTART),
        (CLOCK_NANOSLEEP, (1, 0, 0x1000), RESTART),
        (CLOCK_NANOSLEEP, (1, 1, 0x1000), CLOCK_NANOSLEEP),  # until a moment: it is the same when it begins again
        (FUTEX, (0x2000, 128, 7, 0x1000), RESTART),
        (FUTEX, (0x2000, 128, 7, 0), FUTEX),
        (FUTEX, (0x2000, 137, 7, 0x1000), FUTEX),
        (READ, (5, 0x1000, 1), READ),
    ],
)
def test_who_has_waited_for_a_part_of_its_time_waits_for_the_rest(
    kernel: Kernel, number: int, arguments: tuple[int, ...], expected: int
) -> None:
    kernel.wait_in(number, *arguments)
    found = noted()
    kernel.stop()
    registers = found.registers(THREAD)
    assert registers == kernel.written()
    assert struct.unpack("<34Q", found.resumed(THREAD, registers))[NUMBER] == expected


def test_a_thread_that_was_about_to_wait_waits_for_all_of_its_time(kernel: Kernel) -> None:
    found = noted()
    kernel.wait_in(NANOSLEEP, 0x1000)
    kernel.stop()
    registers = found.registers(THREAD)
    assert found.resumed(THREAD, registers) == registers
