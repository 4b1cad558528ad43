"""What must be known of a processor to stop a thread, and let it go on as if it had not been stopped."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """`number_at` and `result_at` are the places of a system call's number, and of its result, among the registers of a
    thread that stands (NT_PRSTATUS), in bytes, and `next_at` that of the address of its next instruction; `interrupted`
    are the numbers of the calls that the kernel ends with EINTR for a stop (signal(7)). Register sets are named by the
    kernel's numbers (elf.h, NT_*): a thread has its vector registers in the first of `vectors` that there is. Where
    these do not have those for floating-point numbers, too, `floating` has them (0: they do). Where the kernel gives as
    much as such a set could be at most, `vector_length` has the bytes of its header, the place of the word in there
    that says how many bytes a register has, and the number of registers.

    Some kernels let a thread that waits in a call stand at the instruction which made it, and tell neither that it did
    wait nor, where the call has a result, with which first argument. There, `instruction` is that one, in hexadecimal
    digits (else empty); a call that has waited for a part of its time goes on as one with the number `restart`
    (restart_syscall(2)): `resumed` are such calls, each with bits that its second argument does not have, and the place
    of an argument that is not 0.

    `number_set` is where a system call's number is changed (0: at `number_at`), and `thread_set` is read behind
    NT_PRSTATUS (0: none), as is `floating`. A thread would lose in a call what it has in one of the sets `unkept`,
    where these say so: with one of some bits in the word at an offset.
    """

    number_at: int
    result_at: int
    next_at: int
    interrupted: tuple[int, ...]
    vectors: tuple[int, ...]
    instruction: str = ""
    restart: int = -1
    resumed: tuple[tuple[int, int, int], ...] = ()
    number_set: int = 0
    thread_set: int = 0
    floating: int = 0
    vector_length: tuple[int, int, int] | None = None
    unkept: tuple[tuple[int, int, int], ...] = ()

    @property
    def instruction_size(self) -> int:
        """In bytes; 0 where there is none."""
        return len(self.instruction) // 2

    def size_of(self, vectors: bytes) -> int:
        """How many bytes the vector registers are of which the kernel has given `vectors`: more, or less."""
        if self.vector_length is None:
            return len(vectors)
        header, at, count = self.vector_length
        return header + count * int.from_bytes(vectors[at : at + 8], "little")

    def written(self) -> str:
        """The same as text, for `facts_of`."""
        return json.dumps(asdict(self))


def facts_of(text: str) -> Facts:
    return Facts(**json.loads(text))
