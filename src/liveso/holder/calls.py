"""A thread that is stopped makes calls; the other threads of its process stand meanwhile where that is asked for."""

import contextlib
import os
import signal
import time
from dataclasses import dataclass

from liveso.holder.facts import Facts
from liveso.holder.orders import ALONE, ALONE_FROM_NOW, CALL_ORDER
from liveso.holder.problems import Gone, Later, Problem
from liveso.holder.registers import (
    ALL_OTHERS,
    PRSTATUS,
    SYNCHRONOUS,
    SYSCALL,
    block_signals,
    ptrace,
    read_registers,
    write_registers,
)
from liveso.holder.stops import EVENT, let_all_go, pause, status_of, stop_all
from liveso.holder.waits import Waits

_AT_A_SYSTEM_CALL = signal.SIGTRAP | 0x80  # PTRACE_O_TRACESYSGOOD
_NO_CALL = (-1).to_bytes(8, "little", signed=True)
_NUMBER_SIZE = 4  # bytes, in a set of its own
_LONGEST_STANDSTILL = 0.02  # seconds that other threads stand while the call gets nowhere: one of them may be needed
_HOLD_AGAIN = 0.05  # seconds


@dataclass(frozen=True, slots=True)
class Stopped:
    """A thread, and what it was when it stopped: its vector registers are those of `vector_set`, if there is one;
    `floating` are those of Facts.floating, which `registers` end with."""

    thread: int
    registers: bytes
    floating: bytes
    vector_set: int
    vectors: bytes
    blocked: int
    waits: Waits


@dataclass(frozen=True, slots=True)
class Call:
    """A CALL_ORDER."""

    limit: float
    standstill: int
    number: int
    end: int
    place: int
    frame: bytes
    registers: bytes
    waiting: frozenset[int]


class TooLong(Exception):
    """The call has not returned."""


class Fault(Exception):
    """The call did something that ends a process."""


def call_of(order: bytes) -> Call:
    """What an order of the daemon's asks for, without its first byte."""
    limit, still, number, end, place, frame_size, registers_size, *waiting = CALL_ORDER.unpack_from(order)
    frame = order[CALL_ORDER.size : CALL_ORDER.size + frame_size]
    registers = order[CALL_ORDER.size + frame_size : CALL_ORDER.size + frame_size + registers_size]
    return Call(limit, still, number, end, place, frame, registers, frozenset(waiting))


class Others:
    """The threads besides the one that is visited. `held` is how long they have been held, at most, in seconds."""

    def __init__(self, stopped: Stopped) -> None:
        self._stopped = stopped
        self._threads: dict[int, int] = {}
        self._since = 0.0
        self._held = 0.0

    @property
    def held(self) -> float:
        return max(self._held, time.monotonic() - self._since if self._threads else 0.0)

    @property
    def are_held_too_long(self) -> bool:
        return bool(self._threads) and time.monotonic() - self._since > _LONGEST_STANDSTILL

    def hold(self, limit: float) -> None:
        """Raises Later, Gone or Problem where they cannot be held."""
        if not self._threads:
            self._since = time.monotonic()
            it = self._stopped
            self._threads = stop_all(it.thread, self._since + limit, it.waits)

    def hold_if_possible(self) -> None:
        with contextlib.suppress(Later, Gone, Problem):
            self.hold(_HOLD_AGAIN)

    def let_go(self) -> None:
        if self._threads:
            it = self._stopped
            let_all_go(self._threads, it.waits)
            self._held = self.held
            self._threads = {}


def make_call(stopped: Stopped, call: Call, others: Others) -> None:
    """Let the thread make the call; it stands before the system call that ends it then. Raises Fault, TooLong, and
    Later, Gone or Problem where it cannot be made."""
    try:
        memory = os.open(f"/proc/{stopped.waits.pid}/task/{stopped.thread}/mem", os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.pwrite(memory, call.frame, call.place) != len(call.frame):
                raise Problem("its memory may not be written")
        finally:
            os.close(memory)
    except OSError as error:
        raise Problem(f"its memory may not be written ({os.strerror(error.errno or 0)})") from error
    if call.standstill == ALONE_FROM_NOW:
        others.hold(call.limit)
    elif call.standstill == ALONE:
        others.hold_if_possible()
    try:
        facts = stopped.waits.facts
        if facts.number_set:  # elsewhere the registers of the call say so
            take_call_away(stopped.thread, facts)
        if not write_registers(stopped.thread, PRSTATUS, call.registers):
            raise Gone(f"thread {stopped.thread} has ended")
        block_signals(stopped.thread, ALL_OTHERS)
        _until_end(stopped, call, others)
    finally:
        if call.standstill == ALONE:
            others.let_go()


def take_call_away(thread: int, facts: Facts) -> None:
    """Let a thread that stands before a system call make none: its number becomes -1 (ptrace(2))."""
    if facts.number_set:
        write_registers(thread, facts.number_set, _NO_CALL[:_NUMBER_SIZE])
        return
    registers = bytearray(read_registers(thread, PRSTATUS))
    registers[facts.number_at : facts.number_at + len(_NO_CALL)] = _NO_CALL
    write_registers(thread, PRSTATUS, bytes(registers))


def _until_end(stopped: Stopped, call: Call, others: Others) -> None:
    end, waits, may_hold = time.monotonic() + call.limit, False, call.standstill == ALONE
    received = 0
    while True:
        ptrace(SYSCALL, stopped.thread, received)
        received = 0
        rounds = 0
        while (status := status_of(stopped.waits.pid, stopped.thread)) is None:
            rounds += 1
            if may_hold and others.are_held_too_long:  # one of them has what the call waits for
                others.let_go()
                may_hold = False
            if time.monotonic() > end:
                raise TooLong
            pause(rounds)
        if status < 0:
            raise Gone(f"thread {stopped.thread} has ended")
        if status == _AT_A_SYSTEM_CALL:
            registers = read_registers(stopped.thread, PRSTATUS)
            places = stopped.waits.facts.number_at, stopped.waits.facts.next_at
            number, place = (int.from_bytes(registers[at : at + 8], "little") for at in places)
            if number == call.number and place == call.end:
                return
            if may_hold and waits:  # it has waited for another thread, or asked for it
                others.hold_if_possible()
            elif may_hold and number in call.waiting:
                others.let_go()
            waits = not waits and number in call.waiting
        elif not status >> EVENT and status in SYNCHRONOUS:
            raise Fault(signal.strsignal(status) or str(status))
        elif not status >> EVENT:
            received = status
