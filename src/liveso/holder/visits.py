"""One thread of a process stops, makes calls for the daemon, and goes on where it was.

Whenever this process dies, the thread gets back by itself: before it is sent into a call, what that call ends with
(rt_sigreturn(2)) has all that it was, and no step in between leaves it without a way there.
"""

import math
import signal
import socket
import time

from liveso.holder.calls import Fault, Others, Stopped, TooLong, call_of, make_call, take_call_away
from liveso.holder.facts import Facts
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
from liveso.holder.problems import Gone, Later, Problem
from liveso.holder.registers import (
    CONT,
    DETACH,
    INTERRUPT,
    PRSTATUS,
    block_signals,
    blocked_signals,
    ptrace,
    read_registers,
    write_registers,
)
from liveso.holder.stops import EVENT, give_up, let_all_go, stop, suspend_filters, wait_for_stop
from liveso.holder.waits import Waits

_MOST_ORDER = 1 << 16  # bytes


def visit(talk: socket.socket, thread: int, limit: float, waits: Waits) -> None:
    """Raises Later, Gone or Problem where the thread cannot be stopped."""
    since, facts = time.monotonic(), waits.facts
    is_stopped = _stop(thread, since + limit, waits)
    are_suspended = suspend_filters(thread)
    registers = waits.registers(thread)
    if facts.thread_set:
        registers += read_registers(thread, facts.thread_set)
    floating = read_registers(thread, facts.floating) if facts.floating else b""
    registers += floating
    vector_set, vectors = _vectors(thread, facts)
    stopped = Stopped(thread, registers, floating, vector_set, vectors, blocked_signals(thread), waits)
    flags = are_suspended, is_stopped, _has_unkept(thread, facts)
    head = STATE.pack(since, stopped.blocked, *flags, vector_set, len(registers), len(vectors))
    if say(talk, STILL + head + registers + vectors):
        try:
            _serve(talk, stopped)
        except TooLong:
            say(talk, TOO_LONG)
            return  # the end of this thread lets it go
    else:
        _let_go(stopped, has_called=False)
    say(talk, ENDED)


def _vectors(thread: int, facts: Facts) -> tuple[int, bytes]:
    for kind in facts.vectors:
        if found := read_registers(thread, kind):
            size = facts.size_of(found)
            if size > len(found):
                raise Problem("its vector registers are larger than those that liveso can keep")
            return kind, found[:size]
    return 0, b""


def _has_unkept(thread: int, facts: Facts) -> bool:
    for kind, at, bits in facts.unkept:
        if int.from_bytes(read_registers(thread, kind)[at : at + 8], "little") & bits:
            return True
    return False


def _stop(thread: int, end: float, waits: Waits) -> bool:
    """Whether its whole process is stopped."""
    if not stop(thread, waits):
        raise Gone(f"thread {thread} has ended")
    status = wait_for_stop(waits.pid, thread, end)
    if status is None:
        give_up({thread}, waits)
        raise Later(f"thread {thread} does not stop")
    if status < 0:
        raise Gone(f"thread {thread} has ended")
    if not status >> EVENT:
        let_all_go({thread: status}, waits)
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
    thread, waits = stopped.thread, stopped.waits
    if has_called:
        take_call_away(thread, waits.facts)
        ptrace(INTERRUPT, thread)
        ptrace(CONT, thread)
        status = wait_for_stop(waits.pid, thread, math.inf)
        if status is None or status < 0:
            return
        _put_back(stopped)
    waits.let_go_on(thread, 0)
    ptrace(DETACH, thread)


def _put_back(stopped: Stopped) -> None:
    """In this order: until its registers are back, the thread would get back by itself."""
    thread = stopped.thread
    if stopped.vectors:
        write_registers(thread, stopped.vector_set, stopped.vectors)
    if stopped.floating:
        write_registers(thread, stopped.waits.facts.floating, stopped.floating)
    block_signals(thread, stopped.blocked)
    write_registers(thread, PRSTATUS, stopped.waits.resumed(thread, stopped.registers))
