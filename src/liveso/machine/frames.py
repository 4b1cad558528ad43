"""What unwinding the frames of a stopped thread must know of a processor."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrameRegisters:
    """The registers of a frame, by the numbers that DWARF gives them (psABI, "DWARF Register Number Mapping").

    `places` says where each lies in struct user_regs_struct (sys/user.h), in bytes. `return_address` is the number of
    the column for the return address, at whose place the struct has the program counter. A function leaves in `kept`
    what its caller had there. `system_call` is the instruction that enters the kernel, and `futex` the numbers of
    futex(2), and of restart_syscall(2), which a wait with a time limit becomes after a stop;
    `transfers` are those of read(2), write(2), readv(2) and writev(2).
    """

    places: tuple[int, ...]
    stack_pointer: int
    return_address: int
    kept: frozenset[int]
    system_call: bytes
    futex: frozenset[int]
    transfers: frozenset[int]
