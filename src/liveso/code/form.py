"""What an instruction says without its address: what two versions of it are compared by."""

from dataclasses import dataclass
from enum import StrEnum


class Operation(StrEnum):
    """What an instruction does, in words that all machines share, as far as a comparison needs it."""

    MOVE = "move"
    ADDRESS = "address"
    """Forms an address from a register and a displacement, without access."""
    PAGE = "page"
    """Forms the page of an address relative to the instruction, the first of a pair."""
    MULTIPLY = "multiply"
    BITS = "bits"
    BIT_FIELD = "bit field"
    """Takes a field out of a word, or puts one into it: what tests of flags hardly ever use."""
    CALL = "call"
    JUMP = "jump"
    """Goes elsewhere in any case."""
    RETURN = "return"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Form:
    """An instruction without what differs between versions for no reason.

    `outline` is its text with whole registers and without numbers; two instructions of one outline can be compared.
    `base` is the register that memory is addressed by, `displacement` the number that is added, in bytes, `width` the
    size of the access in bytes, or of the result where only an address is formed (0: not known), or of what a MOVE
    between registers makes wider. `immediate` is a
    constant operand. `leads_to_code`: it names the address at which it may go on. `written` are the whole registers
    that it writes, `source` the one that a MOVE reads, and `is_store` says whether it writes to memory. `scale` is what
    an index into memory is multiplied by (0: there is none). `is_signed`: a MOVE fills the rest of a register with the
    sign of what it moves; False where with zeros, None where that is not told.
    """

    operation: Operation
    outline: str
    base: str = ""
    displacement: int | None = None
    width: int = 0
    immediate: int | None = None
    leads_to_code: bool = False
    written: tuple[str, ...] = ()
    source: str = ""
    is_store: bool = False
    scale: int = 0
    is_signed: bool | None = None
