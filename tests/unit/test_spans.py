"""Which pages a transaction opens, by the protections of a made-up memory map."""

import numpy as np
import pytest

from liveso.elf.tables import Table
from liveso.errors import TargetError
from liveso.plan.spans import spans_for_code, spans_for_words
from liveso.process.memory_map import Protections

READ, WRITE, EXECUTE = 1, 2, 4
MEMORY = Protections(
    np.array([0x1000, 0x4000, 0x6000, 0x9000], "<u8"),
    np.array([0x4000, 0x6000, 0x8000, 0xA000], "<u8"),
    np.array([READ | EXECUTE, READ, READ | WRITE, READ], "<u4"),
)


def rows(spans: Table) -> list[tuple[int, int, int]]:
    return [(start, size, protection) for start, size, protection, _unused in spans.tolist()]


def test_words_need_the_pages_that_are_not_writable_as_runs_within_one_mapping() -> None:
    words = np.array([0x9008, 0x3FF8, 0x2000, 0x4000, 0x4008, 0x5000, 0x6000], "<u8")
    assert rows(spans_for_words(MEMORY, words)) == [
        (0x2000, 0x2000, READ | EXECUTE),
        (0x4000, 0x2000, READ),
        (0x9000, 0x1000, READ),
    ]


def test_where_all_is_writable_nothing_is_opened() -> None:
    assert rows(spans_for_words(MEMORY, np.array([0x6000, 0x7FF8], "<u8"))) == []
    assert rows(spans_for_words(MEMORY, np.zeros(0, "<u8"))) == []


def test_code_needs_its_whole_mapping_once() -> None:
    assert rows(spans_for_code(MEMORY, np.array([0x1003, 0x3001], "<u8"))) == [(0x1000, 0x3000, READ | EXECUTE)]
    assert rows(spans_for_code(MEMORY, np.zeros(0, "<u8"))) == []


@pytest.mark.parametrize("address", [0, 0xFF8, 0x8000, 0x8FF8, 0xA000, (1 << 64) - 8])
def test_what_is_not_mapped_is_an_error(address: int) -> None:
    for spans in (spans_for_words, spans_for_code):
        with pytest.raises(TargetError, match="not mapped"):
            spans(MEMORY, np.array([0x1000, address], "<u8"))
