"""One thread of a process stops, makes calls for the daemon, and goes on where it was.

Whenever this process dies, the thread gets back by itself: before it is sent into a call, what that call ends with
(rt_sigreturn(2)) has all that it was, and no step in between leaves it without a way there.
"""

import math
import signal
import socket
import time

from liveso.holder.calls import Fault, Others, Stopped, TooLong, call_of, make_call
from liveso.holder.orders import (
    CALL,
    ENDED,
    FAULT,
    HELD,
    LATER,
    PROBLEM,
    RETURNED,
    STATE,
    STILL,
    TOO_LONG,
    hear,
    say,
)
from liveso.holder.stops import (
    CONT,
    DETACH,
    EVENT,
    INTERRUPT,
    PRSTATUS,
    XSTATE,
    Gone,
    Later,
    Problem,
    SystemCalls,
    block_signals,
    blocked_signals,
    give_up,
    let_all_go,
    let_call_go_on,
    ptrace,
    read_registers,
    seize,
    suspend_filters,
    wait_for_stop,
    write_registers,
)

_MOST_ORDER = 1 << 16  # bytes


def visit(talk: socket.socket, pid: int, thread: int, limit: float, system_calls: SystemCalls) -> None:
    """Raises Later, Gone or Problem where the thread cannot be stopped."""
    since = time.monotonic()
    is_stopped = _stop(pid, thread, since + limit, system_calls)
    are_suspended = suspend_filters(thread)
    stopped = Stopped(
        pid,
        thread,
        read_registers(thread, PRSTATUS),
        read_registers(thread, XSTATE),
        blocked_signals(thread),
        system_calls,
    )
    sizes = len(stopped.registers), len(stopped.vectors)
    head = STATE.pack(since, stopped.blocked, are_suspended, is_stopped, *sizes)
    if say(talk, STILL + head + stopped.registers + stopped.vectors):
        try:
            _serve(talk, stopped)
        except TooLong:
            say(talk, TOO_LONG)
            return  # the end of this thread lets it go
    else:
        _let_go(stopped, has_called=False)
    say(talk, ENDED)


def _stop(pid: int, thread: int, end: float, system_calls: SystemCalls) -> bool:
    """Whether its whole process is stopped."""
    if not seize(pid, thread):
        raise Gone(f"thread {thread} has ended")
    status = wait_for_stop(pid, thread, end)
    if status is None:
        give_up(pid, {thread}, system_calls)
        raise Later(f"thread {thread} does not stop")
    if status < 0:
        raise Gone(f"thread {thread} has ended")
    if not status >> EVENT:
        let_all_go({thread: status}, system_calls)
        raise Later(f"a signal has just come to thread {thread}")
    return status & 0xFF != signal.SIGTRAP


def _serve(talk: socket.socket, stopped: Stopped) -> None:
    has_called, others = False, Others(stopped)
    try:
        while (order := hear(talk, _MOST_ORDER)[0])[:1] == CALL:
            try:
                make_call(stopped, call_of(order[1:]), others)
                has_called = True
                say(talk, RETURNED + HELD.pack(others.held))
            except Fault as fault:
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


def _let_go(stopped: Stopped, *, has_called: bool) -> None:
    """The thread goes on where it was. After a call it stands before the system call that would bring it there, which
    would end one that is to be made again (nanosleep(2)): the kernel's own way back is taken instead."""
    if has_called:
        registers, at = bytearray(read_registers(stopped.thread, PRSTATUS)), stopped.system_calls.number_at
        registers[at : at + 8] = (-1).to_bytes(8, "little", signed=True)
        write_registers(stopped.thread, PRSTATUS, bytes(registers))
        ptrace(INTERRUPT, stopped.thread)
        ptrace(CONT, stopped.thread)
        status = wait_for_stop(stopped.pid, stopped.thread, math.inf)
        if status is None or status < 0:
            return
        _put_back(stopped)
    let_call_go_on(stopped.thread, stopped.system_calls)
    ptrace(DETACH, stopped.thread)


def _put_back(stopped: Stopped) -> None:
    """In this order: until its registers are back, the thread would get back by itself."""
    if stopped.vectors:
        write_registers(stopped.thread, XSTATE, stopped.vectors)
    block_signals(stopped.thread, stopped.blocked)
    write_registers(stopped.thread, PRSTATUS, stopped.registers)
