"""How the kernel is asked for the protection of memory, and how it shows it where it cannot be asked."""

import ctypes
import mmap
import os
from collections.abc import Iterator

import numpy as np
import pytest

from liveso.errors import TargetError, TargetGone
from liveso.process import memory_map

PAGES = 8


@pytest.fixture
def pages() -> Iterator[list[int]]:
    """The addresses of pages of this process, every other of which may not be written to."""
    area = mmap.mmap(-1, PAGES * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    for number in range(0, PAGES, 2):
        assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + number * mmap.PAGESIZE), mmap.PAGESIZE, 1) == 0
    yield [start + number * mmap.PAGESIZE for number in range(PAGES)]
    del area  # not before


def bits(addresses: list[int]) -> list[int]:
    table = np.array(addresses, "<u8")
    found = memory_map.protections(os.getpid(), os.getpid(), table)
    return [int(found.bits[index]) for index in found.at(table)]


def test_both_ways_tell_the_same(pages: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = bits([page + 8 for page in pages])
    assert asked == [1, 3] * (PAGES // 2)
    monkeypatch.setattr(memory_map, "_PROCMAP_QUERY", 0)  # as a kernel that does not know the question
    assert bits([page + 8 for page in reversed(pages)]) == [3, 1] * (PAGES // 2)


@pytest.mark.parametrize("address", [0, 8, (1 << 64) - 8])
@pytest.mark.parametrize("question", [memory_map._PROCMAP_QUERY, 0])
def test_what_is_not_mapped_is_an_error(address: int, question: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_map, "_PROCMAP_QUERY", question)
    with pytest.raises(TargetError, match="not mapped"):
        bits([address])


def test_a_process_that_has_ended_is_gone() -> None:
    with pytest.raises(TargetGone):
        memory_map.protections(1 << 22, 1 << 22, np.array([0x1000], "<u8"))
