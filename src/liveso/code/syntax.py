"""How the code of each machine is read: the module that knows its instructions."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from liveso.code import aarch64, riscv64, x86_64
from liveso.code.decode import Decoded, Listing
from liveso.code.form import Form
from liveso.elf import Image, Section
from liveso.elf.tables import Table
from liveso.machine import AARCH64, RISCV64, X86_64, Machine


class Syntax(Protocol):
    """What a machine's module offers."""

    def forms(
        self, code: bytes, instructions: Listing, last_calls: frozenset[int], /
    ) -> Iterable[tuple[int, Form, int | None]]:
        """The address and form of each instruction of one function without its padding, and the address that it goes to
        or of what it refers to relative to itself. `instructions` are those of `code`. What is at `last_calls` never
        returns."""

    def stubs(self, instructions: Iterable[Decoded], /) -> Iterator[tuple[int, int]]:
        """The address of each PLT stub, and of the slot that it jumps through."""

    def mask(self, image: Image, section: Section, functions: Table, /) -> tuple[Table, Table]:
        """The bytes of a section of code without what the linker fills in, and a FIELD for each such place."""


_SYNTAXES: dict[int, Syntax] = {
    X86_64.e_machine: x86_64,
    AARCH64.e_machine: aarch64,
    RISCV64.e_machine: riscv64,
}


def syntax(machine: Machine) -> Syntax:
    return _SYNTAXES[machine.e_machine]
