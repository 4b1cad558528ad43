"""The messages between daemon and agent: the twin of agent/protocol.h, which explains them."""

import struct
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from liveso.elf.tables import Table

PROTOCOL = 3
OLDEST = 2
"""The first protocol that is still spoken: processes that never restart keep the live.so that they started with."""
TEXT_SIZE = 8192
STACK_SIZE = 262144
SOCKET_SIZE = 112
AREA = struct.Struct(f"=QIIQQ{SOCKET_SIZE}s")
"""struct live_area: the address of the record, which begins with its size; the version; the mode; device and inode of
what standard error was at the start; the daemon's socket."""
AREA_VERSION = 1
THROUGH_PROC = 1


class Kind(IntEnum):
    HELLO = 1
    LIST = 2
    READ = 3
    OPEN = 4
    CLOSE = 5
    RESOLVE = 6
    COMMIT = 7
    RECALL = 8
    SAY = 9
    LEAVE = 10
    CARRY = 11
    MAP = 12
    ROOM = 13


class Mode(IntEnum):
    VISITED = 0
    LEFT = 1
    RESIDENT = 2
    UNLIKE = 3


class Status(IntEnum):
    DONE = 0
    MALFORMED = 1
    OBJECTS_CHANGED = 2
    WORD_CHANGED = 3
    NOT_MAPPED = 4
    NOT_OPENED = 5
    DESCRIPTORS_LEFT = 6
    NO_MEMORY = 7
    NO_FILE = 8
    WITHDRAWN = 9
    TAKEN_BACK = 10
    NO_DESCRIPTOR = 11


HEAD = struct.Struct("=II4QII")
OBJECT = struct.Struct("=QQQIHH")
TRANSACTION = struct.Struct("=QQIIIIII")
RANGE = np.dtype([("address", "<u8"), ("size", "<u8"), ("offset", "<u8")])
SPAN = np.dtype([("start", "<u8"), ("size", "<u8"), ("protection", "<u4"), ("unused", "<u4")])
WORD = np.dtype([("address", "<u8"), ("expected", "<u8"), ("value", "<u8")])
HALF = np.dtype([("address", "<u8"), ("expected", "<u4"), ("value", "<u4")])
CARRY = struct.Struct("=IIII")
PART = struct.Struct("=QQQQII")
WORD_WITHDRAWN, WORD_BEGUN, WORD_DONE = 0, 4, 12
"""Where the header of CARRY has its words (struct live_carry)."""


class Piece(NamedTuple):
    """Memory at `address` that is to change from what is `expected` to `content`, of the same size."""

    address: int
    expected: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class Message:
    kind: int
    status: int = Status.DONE
    argument: tuple[int, int, int, int] = (0, 0, 0, 0)
    text: bytes = b""
    number: int = 0

    def encode(self) -> bytes:
        return HEAD.pack(self.kind, self.status, *self.argument, len(self.text), self.number) + self.text


def decode(record: bytes) -> Message:
    """Raises ValueError where the record is no message."""
    if len(record) < HEAD.size:
        raise ValueError("a message that is too short")
    kind, status, a, b, c, d, size, number = HEAD.unpack_from(record)
    if len(record) != HEAD.size + size:
        raise ValueError("a message of the wrong length")
    return Message(kind, status, (a, b, c, d), record[HEAD.size :], number)


@dataclass(frozen=True)
class Transaction:
    """Everything that one commit changes; see agent/protocol.h. `record` replaces the record of the last commit,
    `is_used` says that the program uses the words."""

    spans: Table
    words: Table
    halves: Table
    record: bytes = b""
    through_proc: bool = False
    is_used: bool = False

    @property
    def undoing(self) -> "Transaction":
        """What takes its changes back, and leaves the record."""
        return replace(self, words=_exchanged(self.words), halves=_exchanged(self.halves), record=b"")

    def encode(self, added: int, removed: int) -> bytes:
        """The sheet of a transaction that was planned when `added` objects had come and `removed` gone."""
        flags = THROUGH_PROC if self.through_proc else 0
        head = TRANSACTION.pack(
            added, removed, flags, len(self.spans), len(self.words), len(self.halves), len(self.record), 0
        )
        return head + self.spans.tobytes() + self.words.tobytes() + self.halves.tobytes() + self.record


def _exchanged(changes: Table) -> Table:
    found = changes.copy()
    found["expected"], found["value"] = changes["value"], changes["expected"]
    return found
