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


_UNNAMED = b"vector"


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
    `most`, if it is given: capstone takes a quarter of a kilobyte for each. What capstone does not know, but the
    machine tells the size of, is an instruction without a name that goes on to the next."""
    found, size = _decoded(machine, code, start, most, skips_data)
    parts, count = [found], len(found) // _ITEM
    while not skips_data and size < len(code) and not (most and count >= most):
        unknown = machine.undecoded(code, size)
        if unknown is None:
            break
        parts.append(_unnamed(machine, start + size, *unknown))
        size, count = size + unknown[0], count + 1
        found, more = _decoded(machine, code[size:], start + size, most - count if most else 0, skips_data)
        parts.append(found)
        size, count = size + more, count + len(found) // _ITEM
    return Listing(b"".join(parts))


def _decoded(machine: Machine, code: bytes, start: int, most: int, skips_data: bool) -> tuple[bytes, int]:
    """What capstone makes of the beginning of `code`, as an array of cs_insn, and how many bytes that are."""
    instructions = ctypes.POINTER(_LAYOUT)()
    handle = _decoder(machine, skips_data).csh
    count = capstone._cs.cs_disasm(handle, code, len(code), start, most, ctypes.byref(instructions)) if code else 0
    if not count:
        if code and (error := capstone._cs.cs_errno(handle)):
            raise capstone.CsError(error)
        return b"", 0
    try:
        last = instructions[count - 1]
        return ctypes.string_at(instructions, count * _ITEM), last.address + last.size - start
    finally:
        capstone._cs.cs_free(instructions, count)


def _unnamed(machine: Machine, address: int, size: int, displacement: int | None) -> bytes:
    """A cs_insn for an instruction of which no more is known."""
    item = _LAYOUT(address=address, size=size, mnemonic=_UNNAMED)
    if displacement is not None:
        sign = "-" if displacement < 0 else "+"
        item.op_str = f"{_UNNAMED.decode()}, [{machine.program_counter} {sign} {abs(displacement):#x}]".encode()
    return bytes(item)


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
