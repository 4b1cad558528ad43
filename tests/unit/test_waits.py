"""Threads that are stopped in system calls of machines whose kernel forgets about the call: what they go on with."""

import errno
import struct

import pytest

from liveso.holder import threads, waits
from liveso.holder.waits import Waits
from liveso.machine.aarch64_calls import AARCH64_CALLS
from liveso.machine.calls import Calls
from liveso.machine.riscv64_calls import RISCV64_CALLS

EPOLL_PWAIT, NANOSLEEP, CLOCK_NANOSLEEP, FUTEX, READ, RESTART = 22, 101, 115, 98, 63, 128
CODE, STACK, THREAD = 0xAAAA0000, 0xFFFF0000, 7  # behind the instruction that makes the call
RESULT, STACK_POINTER, NUMBER, PC = range(4)
PLACES = {"aarch64": (AARCH64_CALLS, 34, (0, 31, 8, 32)), "riscv64": (RISCV64_CALLS, 32, (10, 2, 17, 0))}
"""How many registers a machine has, and which of them: the first argument, which a result takes the place of, and
others behind it; the stack pointer; the number of a system call; the program counter."""


class Kernel:
    """What it tells of a thread."""

    def __init__(self, calls: Calls, count: int, places: tuple[int, int, int, int]) -> None:
        self.calls = calls
        self.places = places
        self.registers = [0] * count
        self.call = "running"
        self.switches = 3
        self.caught = 0

    def wait_in(self, number: int, *arguments: int) -> None:
        given = [*arguments, *[0] * (6 - len(arguments))]
        self.call = f"{number} {' '.join(map(hex, given))} {STACK:#x} {CODE:#x}"
        first = self.places[RESULT]
        self.registers[first : first + len(given)] = given
        self.put(NUMBER, number)
        self.put(STACK_POINTER, STACK)

    def stop(self, result: int | None = None) -> None:
        """The thread stands at the instruction, or behind it with a result."""
        self.switches += 1
        self.put(PC, CODE if result is not None else CODE - 4)
        if result is not None:
            self.put(RESULT, result % (1 << 64))

    def get(self, which: int, written: bytes = b"") -> int:
        """One of the registers, or of those that are `written`."""
        registers = self._read(written) if written else self.registers
        return registers[self.places[which]]

    def put(self, which: int, value: int) -> None:
        self.registers[self.places[which]] = value

    def _read(self, written: bytes) -> list[int]:
        return list(struct.unpack(f"<{len(self.registers)}Q", written))

    def written(self) -> bytes:
        return struct.pack(f"<{len(self.registers)}Q", *self.registers)

    def write(self, _thread: int, _kind: int, content: bytes) -> bool:
        self.registers = self._read(content)
        return True

    def noted(self) -> Waits:
        found = Waits(1, self.calls.stops)
        found.note(THREAD)
        return found

    def field(self, _pid: int, _thread: int, name: str) -> str:
        return {"voluntary_ctxt_switches": str(self.switches), "SigCgt": f"{self.caught:016x}"}[name]


@pytest.fixture(params=PLACES)
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    it = Kernel(*PLACES[request.param])
    monkeypatch.setattr(waits, "read_registers", lambda *_asked: it.written())
    monkeypatch.setattr(waits, "write_registers", it.write)
    monkeypatch.setattr(waits, "field_of", it.field)
    monkeypatch.setattr(threads, "field_of", it.field)
    monkeypatch.setattr(waits, "system_call_of", lambda *_asked: it.call.split())
    return it


def test_a_call_that_the_stop_ended_is_made_again_with_its_first_argument(kernel: Kernel) -> None:
    kernel.wait_in(EPOLL_PWAIT, 5, 0x1000, 16)
    found = kernel.noted()
    kernel.stop(-errno.EINTR)
    found.let_go_on(THREAD, 0)
    assert (kernel.get(RESULT), kernel.get(PC), kernel.get(NUMBER)) == (5, CODE - 4, EPOLL_PWAIT)


@pytest.mark.parametrize("result", [0, 1, -errno.EBADF])
def test_a_call_that_has_ended_by_itself_is_not_made_again(kernel: Kernel, result: int) -> None:
    kernel.wait_in(EPOLL_PWAIT, 5)
    found = kernel.noted()
    kernel.stop(result)
    before = list(kernel.registers)
    found.let_go_on(THREAD, 0)
    assert kernel.registers == before


def test_a_call_that_is_no_longer_the_one_which_was_seen_is_left_alone(kernel: Kernel) -> None:
    kernel.wait_in(EPOLL_PWAIT, 5)
    found = kernel.noted()
    kernel.switches += 1  # it has waited once more: in the same call with other arguments, perhaps
    kernel.stop(-errno.EINTR)
    before = list(kernel.registers)
    assert found.registers(THREAD) == kernel.written()
    found.let_go_on(THREAD, 0)
    assert kernel.registers == before


def test_a_call_that_the_kernel_does_not_end_for_a_stop_has_ended_by_itself(kernel: Kernel) -> None:
    kernel.wait_in(READ, 5)
    found = kernel.noted()
    kernel.stop(-errno.EINTR)
    before = list(kernel.registers)
    found.let_go_on(THREAD, 0)
    assert kernel.registers == before


@pytest.mark.parametrize(("is_caught", "is_made_again"), [(True, False), (False, True)])
def test_the_handler_of_a_signal_finds_the_call_ended(kernel: Kernel, is_caught: bool, is_made_again: bool) -> None:
    kernel.wait_in(EPOLL_PWAIT, 5)
    kernel.caught = 1 << 9 if is_caught else 0
    found = kernel.noted()
    kernel.stop(-errno.EINTR)
    found.let_go_on(THREAD, 10)
    assert (kernel.get(PC) == CODE - 4) is is_made_again


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
    found = kernel.noted()
    kernel.stop()
    registers = found.registers(THREAD)
    assert registers == kernel.written()
    assert kernel.get(NUMBER, found.resumed(THREAD, registers)) == expected


def test_a_thread_that_was_about_to_wait_waits_for_all_of_its_time(kernel: Kernel) -> None:
    found = kernel.noted()
    kernel.wait_in(NANOSLEEP, 0x1000)
    kernel.stop()
    registers = found.registers(THREAD)
    assert found.resumed(THREAD, registers) == registers
