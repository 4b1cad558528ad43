"""How the code of each machine is read: the module that knows its instructions."""

import threading
from collections.abc import Iterator
from typing import Protocol

import capstone

from liveso.code import aarch64, x86_64
from liveso.code.form import Form
from liveso.elf import Image, Machine, Section
from liveso.elf.machine import AARCH64, X86_64
from liveso.elf.tables import Table

Decoded = tuple[int, int, str, str]
"""Address, size in bytes, mnemonic and operands of an instruction, as capstone writes them."""


class Syntax(Protocol):
    """What a machine's module offers."""

    def forms(
        self, instructions: Iterator[Decoded], last_calls: frozenset[int], /
    ) -> Iterator[tuple[int, Form, int | None]]:
        """The address and form of each instruction of one function without its padding, and the address of what it
        refers to relative to itself. What is at `last_calls` never returns."""

    def stubs(self, instructions: Iterator[Decoded], /) -> Iterator[tuple[int, int]]:
        """The address of each PLT stub, and of the slot that it jumps through."""

    def mask(self, image: Image, section: Section, functions: Table, /) -> tuple[Table, Table]:
        """The bytes of a section of code without what the linker fills in, and a FIELD for each such place."""


_SYNTAXES: dict[int, Syntax] = {X86_64.e_machine: x86_64, AARCH64.e_machine: aarch64}


def syntax(machine: Machine) -> Syntax:
    return _SYNTAXES[machine.e_machine]


_decoders = threading.local()


def decoder(machine: Machine) -> capstone.Cs:
    """The decoder of this thread: making one takes as long as decoding a small function, and none is safe to share."""
    found: capstone.Cs | None = getattr(_decoders, machine.name, None)
    if found is None:
        found = capstone.Cs(machine.capstone_architecture, machine.capstone_mode)
        setattr(_decoders, machine.name, found)
    return found
