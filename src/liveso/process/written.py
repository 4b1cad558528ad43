"""Memory of a target, changed from outside where nothing in it uses what changes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np

from liveso.elf.sets import distinct
from liveso.elf.tables import Table
from liveso.errors import TargetError, TargetGone
from liveso.process.agent import WordChanged
from liveso.process.pages import Pages, pages_of, runs
from liveso.process.protocol import Transaction
from liveso.process.withheld import in_time


def read_ranges(pid: int, thread: int, ranges: list[tuple[int, int]]) -> list[bytes]:
    """Read memory by one thread of the process: `ranges` are address and size. Raises TargetError where some of it is
    not mapped, TargetGone, MemoryWithheld."""
    return in_time(pid, lambda: _read_ranges(pid, thread, ranges))


def _read_ranges(pid: int, thread: int, ranges: list[tuple[int, int]]) -> list[bytes]:
    with opened_memory(pid, thread, os.O_RDONLY) as memory:
        return [read_at(memory, address, size) for address, size in ranges]


@contextmanager
def opened_memory(pid: int, thread: int, flags: int) -> Iterator[int]:
    """A descriptor for the memory of the program that a process executes now, and not of the next one (proc(5),
    /proc/PID/mem). Raises TargetError where it may not be had, TargetGone."""
    try:
        memory = os.open(f"/proc/{pid}/task/{thread}/mem", flags | os.O_CLOEXEC)
    except PermissionError as error:
        raise TargetError(
            f"the memory of process {pid} may not be read; run the daemon as the same user or as root"
        ) from error
    except OSError as error:
        raise TargetGone(f"process {pid} has ended") from error
    try:
        yield memory
    finally:
        os.close(memory)


def read_at(memory: int, address: int, size: int) -> bytes:
    """Raises TargetError where some of it is not mapped."""
    try:
        content = os.pread(memory, size, address) if size else b""
    except (OSError, OverflowError):
        content = b""
    if len(content) != size:
        raise TargetError("memory is not mapped as expected")
    return content


def write_at(memory: int, address: int, content: bytes) -> None:
    """Raises TargetError where some of it may not be written."""
    try:
        written = os.pwrite(memory, content, address)
    except (OSError, OverflowError) as error:
        raise TargetError(f"memory of the process may not be written ({error})") from error
    if written != len(content):
        raise TargetError("memory is not mapped as expected")


def write_memory(pid: int, thread: int, address: int, content: bytes) -> None:
    """Write memory, whatever its protection. Raises TargetError where that cannot be, MemoryWithheld."""
    in_time(pid, lambda: _write_memory(pid, thread, address, content))


def _write_memory(pid: int, thread: int, address: int, content: bytes) -> None:
    with opened_memory(pid, thread, os.O_RDWR) as memory:
        write_at(memory, address, content)


def write_unused(pid: int, thread: int, transaction: Transaction) -> None:
    """Make the changes of a transaction in memory that nothing uses yet, all of them or none. Raises WordChanged where
    something is not as expected, TargetError."""
    words, halves = transaction.words, transaction.halves
    numbers = distinct(np.concatenate([pages_of(words["address"], 8), pages_of(halves["address"], 4)]))
    parts = runs(numbers)
    before = read_ranges(pid, thread, parts)
    pages = Pages(numbers, np.frombuffer(bytearray(b"".join(before)), np.uint8))
    _exchange(pages, words, 8, 0)
    _exchange(pages, halves, 4, len(words))
    at = 0
    for index, (address, size) in enumerate(parts):
        try:
            write_memory(pid, thread, address, pages.memory[at : at + size].tobytes())
        except TargetError:
            for (written, _size), content in zip(parts[: index + 1], before, strict=False):
                with suppress(TargetError):
                    write_memory(pid, thread, written, content)
            raise
        at += size


def _exchange(pages: Pages, rows: Table, size: int, first: int) -> None:
    if not len(rows):
        return
    expected = np.ascontiguousarray(rows["expected"]).view(np.uint8).reshape(-1, size)
    wrong = np.flatnonzero((pages.contents(rows["address"], size) != expected).any(axis=1))
    if len(wrong):
        raise WordChanged(f"word {first + int(wrong[0])} of the transaction changed meanwhile")
    values = np.ascontiguousarray(rows["value"]).view(np.uint8).reshape(-1, size)
    pages.memory[pages.offsets(rows["address"])[:, None] + np.arange(size)] = values
