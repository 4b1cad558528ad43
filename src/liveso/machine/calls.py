"""What must be known of a processor to let a stopped thread make a call, and get back to where it was."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from liveso.holder.facts import Facts


@dataclass(frozen=True, slots=True)
class StoppedThread:
    """A thread that is stopped: its registers (NT_PRSTATUS, and what Facts.thread_set and Facts.floating have), its
    vector registers, which are those of `vector_set` (Facts.vectors), and the signals that it blocks, as a set of bits
    from that of signal 1 on."""

    registers: bytes
    vector_set: int
    vectors: bytes
    blocked: int


@dataclass(frozen=True, slots=True)
class Calls:
    """`stub` is code that calls a function, stores its result, and ends with the system call `way_back` (its number),
    which gives a thread everything that lies on its stack (rt_sigreturn(2)), again and again: `stub_end` is the offset
    behind that system call, which must end in a `way_back` that is made and not in one that a tracer took away.

    `frame` makes the stack's content for a thread that is to be as it was, at an address, which is a multiple of 16;
    `frame_size` is its size in bytes at most, for vector registers of a size. `registers` are those to call a function
    with: with arguments, the address of the stub, that of the frame, and the place of the result.
    `stops` is what stopping a thread needs. `stack_at` and `thread_at` are the places of the stack pointer and the
    thread pointer among the registers, in bytes; `waiting` are the numbers of system calls by which a thread waits for
    another (futex(2)), and `kcmp` is that of kcmp(2).
    """

    stub: bytes
    stub_end: int
    way_back: int
    stops: Facts
    stack_at: int
    thread_at: int
    waiting: tuple[int, int, int, int]
    kcmp: int
    frame: Callable[[StoppedThread, int], bytes]
    frame_size: Callable[[int], int]
    registers: Callable[[StoppedThread, int, Sequence[int], int, int, int], bytes]
