"""What unwinding the frames of a stopped thread must know of a processor."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrameRegisters:
    """The registers of a frame, by the numbers that DWARF gives them (psABI, "DWARF Register Number Mapping").

    `places` says where each lies among those of a thread that stands (NT_PRSTATUS), in bytes. `return_address` is the
    number of the column for the return address, and `program_counter` that of the place where the thread stands: they
    are the same where no register has the return address of a function that calls none. Only `address_bits` of a return
    address count: others may authenticate it. A function leaves in `kept` what its caller had there.
    Where a signal's handler returns to `signal_return`, which no table describes, all registers of what the signal
    interrupted lie on the stack, `interrupted_at` bytes from the stack pointer, in the order of NT_PRSTATUS.
    `system_call` is the instruction that enters the kernel, and `futex` the numbers of
    futex(2), and of restart_syscall(2), which a wait with a time limit becomes after a stop;
    `transfers` are those of read(2), write(2), readv(2) and writev(2).
    """

    places: tuple[int, ...]
    stack_pointer: int
    program_counter: int
    return_address: int
    kept: frozenset[int]
    system_call: bytes
    futex: frozenset[int]
    transfers: frozenset[int]
    address_bits: int = (1 << 64) - 1
    signal_return: bytes = b""
    interrupted_at: int = 0
