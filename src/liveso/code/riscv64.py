"""RISC-V instructions as capstone writes them, in the words that AArch64 code is told in: what compares code knows
these.

An address is formed in two steps: AUIPC leaves one that is close in a register, ADDI or an access adds the low part.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from liveso.code.decode import Decoded, Listing
from liveso.code.factors import name_factors
from liveso.code.form import Form
from liveso.code.formed_addresses import formed_addresses
from liveso.code.riscv64_constants import with_constants
from liveso.code.riscv64_forms import found_of
from liveso.code.riscv64_groups import grouped
from liveso.code.riscv64_mask import mask
from liveso.code.riscv64_steps import Step, steps
from liveso.machine import RISCV64

__all__ = ["forms", "mask", "stubs"]

_PAGE_BITS = 12
_PROLOGUE = 16  # instructions among which the frame pointer is set


def forms(_code: bytes, instructions: Listing, last_calls: frozenset[int]) -> Iterator[tuple[int, Form, int | None]]:
    """The address and form of each instruction of a function, and the address that it goes to or that a pair forms
    with it."""
    whole = steps(instructions)
    told = grouped(with_constants(whole, last_calls))
    found = [it for step in _with_targets(whole, told) for it in found_of(step)]
    targets = formed_addresses(found, RISCV64, _stack(whole), last_calls)
    name_factors(found)
    for it, target in zip(found, targets, strict=True):
        yield it.address, it.form, it.held if it.form.leads_to_code else target


def _with_targets(whole: list[Step], told: list[Step]) -> list[Step]:
    """Branches lead to what is left of the instructions from their target on."""
    if len(whole) == len(told):
        return told
    left, following = {it.address for it in told}, 0
    instead: dict[int, int] = {}
    for it in reversed(whole):
        if it.address in left:
            following = it.address
        else:
            instead[it.address] = following
    return [it if it.target not in instead else replace(it, target=instead[it.target]) for it in told]


def _stack(found: list[Step]) -> tuple[str, ...]:
    """The registers by which a function addresses its frame: the frame pointer is one of many, where it is not set."""
    stack, frame = RISCV64.stack_pointer, RISCV64.frame_pointer
    keeps = any(it.rd == frame and it.rs == (stack,) and it.name in ("addi", "mv") for it in found[:_PROLOGUE])
    return (stack, frame) if keeps else (stack,)


def stubs(instructions: Iterable[Decoded]) -> Iterator[tuple[int, int]]:
    """The address of each PLT stub, and of the slot that it jumps through: `auipc t3; ld t3, …(t3); jalr t1, t3`
    (RISC-V ELF psABI, "Procedure Linkage Table")."""
    start, page, slot = 0, 0, None
    for address, _size, mnemonic, operands in instructions:
        if mnemonic == "auipc" and operands.startswith("t3, "):
            start, page, slot = address, int(operands.partition(", ")[2], 0), None
        elif mnemonic == "ld" and operands.startswith("t3, ") and operands.endswith("(t3)") and start == address - 4:
            upper = (page & 0xFFFFF ^ 0x80000) - 0x80000 << _PAGE_BITS
            slot = start + upper + int(operands.removeprefix("t3, ").removesuffix("(t3)"), 0)
        elif mnemonic == "jalr" and operands.startswith("t1, t3") and slot is not None:
            yield start, slot
            slot = None
