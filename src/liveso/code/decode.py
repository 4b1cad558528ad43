"""Decodes code with capstone.

Its own binding for Python makes an object of each instruction, and takes longer than capstone itself; here the
addresses of all come at once, and the text only of those that are asked for.
"""

import ctypes
import threading
from collections.abc import Iterator

import capstone
import numpy as np

from liveso.elf.tables import Table
from liveso.machine import Machine

Decoded = tuple[int, int, str, str]
"""Address, size in bytes, mnemonic and operands of an instruction, as capstone writes them."""

_LAYOUT = capstone._cs_insn  # cs_insn of capstone.h
_ITEM, _MNEMONIC, _OPERANDS = ctypes.sizeof(_LAYOUT), _LAYOUT.mnemonic.offset, _LAYOUT.op_str.offset
_INSTRUCTION = np.dtype(
    {
        "names": ["address", "size"],
        "formats": ["<u8", "<u2"],
        "offsets": [_LAYOUT.address.offset, _LAYOUT.size.offset],
        "itemsize": _ITEM,
    }
)


class Listing:
    """Instructions that follow each other: their `addresses`, and where each of them ends."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        rows = np.frombuffer(content, _INSTRUCTION)
        self.addresses: Table = rows["address"].astype("<i8")
        self.ends: Table = self.addresses + rows["size"]

    def __len__(self) -> int:
        return len(self.addresses)

    def places(self) -> Iterator[tuple[int, int, int]]:
        """The index of each instruction, its address and its end."""
        return zip(range(len(self)), self.addresses.tolist(), self.ends.tolist(), strict=True)

    def text(self, index: int) -> tuple[str, str]:
        """The mnemonic and the operands of an instruction."""
        start = index * _ITEM
        return _text(self._content, start + _MNEMONIC), _text(self._content, start + _OPERANDS)

    def __iter__(self) -> Iterator[Decoded]:
        for index, address, end in self.places():
            yield address, end - address, *self.text(index)


def _text(content: bytes, start: int) -> str:
    return content[start : content.index(b"\0", start)].decode("ascii")


def decode(machine: Machine, code: bytes, start: int, *, most: int = 0, skips_data: bool = False) -> Listing:
    """The instructions of `code`, which lies at `start`, up to what cannot be decoded, or without that; no more than
    `most`, if it is given: capstone takes a quarter of a kilobyte for each."""
    instructions = ctypes.POINTER(_LAYOUT)()
    handle = _decoder(machine, skips_data).csh
    count = capstone._cs.cs_disasm(handle, code, len(code), start, most, ctypes.byref(instructions))
    if not count:
        if error := capstone._cs.cs_errno(handle):
            raise capstone.CsError(error)
        return Listing(b"")
    try:
        return Listing(ctypes.string_at(instructions, count * _ITEM))
    finally:
        capstone._cs.cs_free(instructions, count)


_decoders = threading.local()


def _decoder(machine: Machine, skips_data: bool) -> capstone.Cs:
    """The decoder of this thread: making one takes as long as decoding a small function, and none is safe to share."""
    name = f"{machine.name}, skipping data" if skips_data else machine.name
    found: capstone.Cs | None = getattr(_decoders, name, None)
    if found is None:
        found = capstone.Cs(machine.capstone_architecture, machine.capstone_mode)
        found.skipdata = skips_data
        setattr(_decoders, name, found)
    return found
