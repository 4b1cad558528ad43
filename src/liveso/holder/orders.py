"""What the daemon and the process that holds threads say to each other: records on sockets (SOCK_SEQPACKET).

A request comes on the process's standard input, with a socket on which the rest of it is talked about. Its first byte
says what it is about; the end of that socket lets everything go.
"""

import contextlib
import socket
import struct

READY = b"r"
"""What is said first, before any request."""

FREEZE, VISIT = b"f", b"v"
REQUEST = struct.Struct("=ciid")
"""FREEZE: hold all threads but one. VISIT: stop one of them. Then the process; that one thread, or 0; the seconds
within which those that are to stand must do so."""

STILL, LATER, GONE, PROBLEM = b"s", b"l", b"g", b"p"
"""Answers to a request; STILL with SINCE (FREEZE) or STATE (VISIT), all others with a text."""
SINCE = struct.Struct("=d")
"""The time (time.monotonic(), which all processes have in common) at which the first thread was to stand."""
STATE = struct.Struct("=dQ???HHH")
"""SINCE; the signals that the thread blocks; whether no filter of system calls (seccomp(2)) holds for it during the
visit; whether the whole process is stopped (SIGSTOP); whether it would lose something in a call (Facts.unkept); the set
that its vector registers are in (Facts.vectors), 0 for none; and the sizes in bytes of its registers (NT_PRSTATUS, with
Facts.thread_set and Facts.floating) and its vector registers, which follow."""
END, END_ANSWERED, ENDED = b"e", b"E", b"d"
"""The order to let the threads go (END_ANSWERED: the agent has answered), and what answers it: it is done."""

WATCH, WATCHED = b"w", b"W"
"""The order to take the sheet of a carry during a freeze, and what answers it."""
WRITE, WRITTEN, CHANGED = b"p", b"P", b"c"
"""The order to write into the target what a sheet says, all of it or nothing, and its answers: CHANGED where memory was
not as expected. The sheet has COUNT, as many times PIECE, and at the offset of each piece what is expected and then
what is to be written, of its size in bytes."""
COUNT, PIECE = struct.Struct("=Q"), struct.Struct("=QQQ")
"""PIECE: address, size, offset."""
STEP, STEPPED = b"t", b"T"
"""The order to let one thread execute one instruction, followed by the THREAD, and its answer, whether or not it could:
the thread stands again. One that stands in a system call may not be asked to."""
REGISTERS, READ = b"g", b"G"
"""The order to tell the registers (NT_PRSTATUS) of one thread during a freeze, followed by the THREAD, and its answer,
which they follow; none where it has ended."""
THREAD = struct.Struct("=i")

CALL, RETURNED, FAULT, TOO_LONG = b"C", b"r", b"x", b"o"
"""The order to let the thread that is visited make a call, followed by CALL_ORDER, and its answers. RETURNED: the HELD
for which the other threads stood still. FAULT, with a text: it did not come back, and the thread is where it was.
TOO_LONG: the thread has been let go, and comes back by itself when the call returns."""
CALL_ORDER = struct.Struct("=dBqQQHH4h")
"""The seconds that it may take; when the other threads stand still: FREE, ALONE, ALONE_FROM_NOW; the number of the
system call which ends the call, and the address behind that; an address, the size in bytes of what is to be written
there, and that of the registers which the call begins with: both follow; and the numbers of system calls by which
threads wait for others."""
FREE, ALONE, ALONE_FROM_NOW = range(3)
"""Not at all; during the call, as far as that can be: one of them may have what the call waits for; until the end of
the visit, or the call is not made."""
HELD = struct.Struct("=d")
"""Seconds."""


def say(talk: socket.socket, text: bytes) -> bool:
    """False where the daemon has gone."""
    with contextlib.suppress(OSError):
        talk.send(text)
        return True
    return False


def hear(talk: socket.socket, size: int) -> tuple[bytes, list[int]]:
    """What is said next, of at most `size` bytes, and a descriptor that comes with it; nothing where the daemon has
    gone."""
    try:
        text, descriptors, _flags, _address = socket.recv_fds(talk, size, 1)
        return text, descriptors
    except OSError:
        return b"", []
