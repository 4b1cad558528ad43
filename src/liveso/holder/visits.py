"""One thread of a process stops, makes calls for the daemon, and goes on where it was.

Whenever this process dies, the thread gets back by itself: before it is sent into a call, what that call ends with
(rt_sigreturn(2)) has all that it was, and no step in between leaves it without a way there.
"""

import contextlib
import os
import signal
import socket
import time
from dataclasses import dataclass

from liveso.holder.orders import (
    ALONE,
    ALONE_FROM_NOW,
    CALL,
    CALL_ORDER,
    ENDED,
    FAULT,
    HELD,
    LATER,
    PROBLEM,
    RETURNED,
    STATE,
    STILL,
    TOO_LONG,
    say,
)
from liveso.holder.stops import (
    ALL_OTHERS,
    CONT,
    DETACH,
    EVENT,
    INTERRUPT,
    PRSTATUS,
    SYNCHRONOUS,
    SYSCALL,
    XSTATE,
    Gone,
    Later,
    Problem,
    block_signals,
    blocked_signals,
    give_up,
    let_all_go,
    let_call_go_on,
    pause,
    ptrace,
    read_registers,
    seize,
    status_of,
    stop_all,
    suspend_filters,
    write_registers,
)

_AT_A_SYSTEM_CALL = signal.SIGTRAP | 0x80  # PTRACE_O_TRACESYSGOOD
_MOST_ORDER = 1 << 16  # bytes
_LONGEST_STANDSTILL = 0.02  # seconds that other threads stand while the call gets nowhere: one of them may be needed
_HOLD_AGAIN = 0.05  # seconds


@dataclass(frozen=True, slots=True)
class _Stopped:
    """A thread, and what it was when it stopped."""

    pid: int
    thread: int
    registers: bytes
    vectors: bytes
    blocked: int
    number_at: int
    result_at: int
    calls: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Call:
    """A CALL_ORDER."""

    limit: float
    standstill: int
    number_at: int
    number: int
    next_at: int
    end: int
    place: int
    frame: bytes
    registers: bytes
    waiting: frozenset[int]


class _TooLong(Exception):
    """The call has not returned."""


class _Fault(Exception):
    """The call did something that ends a process."""


def visit(
    talk: socket.socket, pid: int, thread: int, limit: float, number_at: int, result_at: int, *calls: int
) -> None:
    """Raises Later, Gone or Problem where the thread cannot be stopped."""
    since = time.monotonic()
    is_stopped = _stop(pid, thread, since + limit, number_at, result_at, calls)
    are_suspended = suspend_filters(thread)
    stopped = _Stopped(
        pid,
        thread,
        read_registers(thread, PRSTATUS),
        read_registers(thread, XSTATE),
        blocked_signals(thread),
        number_at,
        result_at,
        calls,
    )
    sizes = len(stopped.registers), len(stopped.vectors)
    head = STATE.pack(since, stopped.blocked, are_suspended, is_stopped, *sizes)
    if say(talk, STILL + head + stopped.registers + stopped.vectors):
        try:
            _serve(talk, stopped)
        except _TooLong:
            say(talk, TOO_LONG)
            return  # the end of this thread lets it go
    else:
        _let_go(stopped, has_called=False)
    say(talk, ENDED)


def _stop(pid: int, thread: int, end: float, number_at: int, result_at: int, calls: tuple[int, ...]) -> bool:
    """Whether its whole process is stopped."""
    if not seize(pid, thread):
        raise Gone(f"thread {thread} has ended")
    rounds = 0
    while (status := status_of(pid, thread)) is None:
        if time.monotonic() > end:
            give_up(pid, {thread}, number_at, result_at, calls)
            raise Later(f"thread {thread} does not stop")
        rounds += 1
        pause(rounds)
    if status < 0:
        raise Gone(f"thread {thread} has ended")
    if not status >> EVENT:
        let_all_go({thread: status}, number_at, result_at, calls)
        raise Later(f"a signal has just come to thread {thread}")
    return status & 0xFF != signal.SIGTRAP


def _serve(talk: socket.socket, stopped: _Stopped) -> None:
    has_called, others = False, _Others(stopped)
    try:
        while (order := _next_order(talk))[:1] == CALL:
            try:
                _make(stopped, _call_of(order[1:]), others)
                has_called = True
                say(talk, RETURNED + HELD.pack(others.held))
            except _Fault as fault:
                _put_back(stopped)
                has_called = False
                say(talk, FAULT + str(fault).encode())
            except Later as later:
                say(talk, LATER + str(later).encode())
            except Problem as problem:
                say(talk, PROBLEM + str(problem).encode())
        _let_go(stopped, has_called=has_called)
    finally:
        others.let_go()


def _next_order(talk: socket.socket) -> bytes:
    """Nothing where the daemon has gone."""
    try:
        return talk.recv(_MOST_ORDER)
    except OSError:
        return b""


def _call_of(order: bytes) -> _Call:
    limit, still, number_at, number, next_at, end, place, frame_size, registers_size, *waiting = CALL_ORDER.unpack_from(
        order
    )
    frame = order[CALL_ORDER.size : CALL_ORDER.size + frame_size]
    registers = order[CALL_ORDER.size + frame_size : CALL_ORDER.size + frame_size + registers_size]
    return _Call(limit, still, number_at, number, next_at, end, place, frame, registers, frozenset(waiting))


def _make(stopped: _Stopped, call: _Call, others: "_Others") -> None:
    """Let the thread make the call; it stands before the system call that ends it then."""
    try:
        memory = os.open(f"/proc/{stopped.pid}/task/{stopped.thread}/mem", os.O_RDWR | os.O_CLOEXEC)
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
        if not write_registers(stopped.thread, PRSTATUS, call.registers):
            raise Gone(f"thread {stopped.thread} has ended")
        block_signals(stopped.thread, ALL_OTHERS)
        _until_end(stopped, call, others)
    finally:
        if call.standstill == ALONE:
            others.let_go()


class _Others:
    """The threads besides the one that is visited. `held` is how long they have been held, at most, in seconds."""

    def __init__(self, stopped: _Stopped) -> None:
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
            self._threads = stop_all(it.pid, it.thread, self._since + limit, it.number_at, it.result_at, it.calls)

    def hold_if_possible(self) -> None:
        with contextlib.suppress(Later, Gone, Problem):
            self.hold(_HOLD_AGAIN)

    def let_go(self) -> None:
        if self._threads:
            it = self._stopped
            let_all_go(self._threads, it.number_at, it.result_at, it.calls)
            self._held = self.held
            self._threads = {}


def _until_end(stopped: _Stopped, call: _Call, others: _Others) -> None:
    end, waits, may_hold = time.monotonic() + call.limit, False, call.standstill == ALONE
    received = 0
    while True:
        ptrace(SYSCALL, stopped.thread, received)
        received = 0
        rounds = 0
        while (status := status_of(stopped.pid, stopped.thread)) is None:
            rounds += 1
            if may_hold and others.are_held_too_long:  # one of them has what the call waits for
                others.let_go()
                may_hold = False
            if time.monotonic() > end:
                raise _TooLong
            pause(rounds)
        if status < 0:
            raise Gone(f"thread {stopped.thread} has ended")
        if status == _AT_A_SYSTEM_CALL:
            registers = read_registers(stopped.thread, PRSTATUS)
            number, place = (int.from_bytes(registers[at : at + 8], "little") for at in (call.number_at, call.next_at))
            if number == call.number and place == call.end:
                return
            if may_hold and waits:  # it has waited for another thread, or asked for it
                others.hold_if_possible()
            elif may_hold and number in call.waiting:
                others.let_go()
            waits = not waits and number in call.waiting
        elif not status >> EVENT and status in SYNCHRONOUS:
            raise _Fault(signal.strsignal(status) or str(status))
        elif not status >> EVENT:
            received = status


def _let_go(stopped: _Stopped, *, has_called: bool) -> None:
    """The thread goes on where it was. After a call it stands before the system call that would bring it there, which
    would end one that is to be made again (nanosleep(2)): the kernel's own way back is taken instead."""
    if has_called:
        registers = bytearray(read_registers(stopped.thread, PRSTATUS))
        registers[stopped.number_at : stopped.number_at + 8] = (-1).to_bytes(8, "little", signed=True)
        write_registers(stopped.thread, PRSTATUS, bytes(registers))
        ptrace(INTERRUPT, stopped.thread)
        ptrace(CONT, stopped.thread)
        rounds = 0
        while (status := status_of(stopped.pid, stopped.thread)) is None:
            rounds += 1
            pause(rounds)
        if status < 0:
            return
        _put_back(stopped)
    let_call_go_on(stopped.thread, stopped.number_at, stopped.result_at, stopped.calls)
    ptrace(DETACH, stopped.thread)


def _put_back(stopped: _Stopped) -> None:
    """In this order: until its registers are back, the thread would get back by itself."""
    if stopped.vectors:
        write_registers(stopped.thread, XSTATE, stopped.vectors)
    block_signals(stopped.thread, stopped.blocked)
    write_registers(stopped.thread, PRSTATUS, stopped.registers)
