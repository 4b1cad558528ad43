from difflib import SequenceMatcher

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveso.compare import matching_blocks
from liveso.compare.matching_blocks import changed_parts

_CODE = st.lists(st.integers(0, 3), max_size=60)
"""A few elements that come often, as instructions do."""


def _of_difflib(one: list[int], other: list[int]) -> list[tuple[int, int, int]]:
    return [(it.a, it.b, it.size) for it in SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()]


@given(_CODE, _CODE)
def test_short_sequences_are_matched_as_by_difflib(one: list[int], other: list[int]) -> None:
    assert [block for block, _one, _other in changed_parts(one, other)] == _of_difflib(one, other)


@given(_CODE, _CODE, _CODE, _CODE)
def test_long_sequences_are_matched_as_by_difflib(
    start: list[int], middle: list[int], other: list[int], end: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching_blocks, "_FEW", 1)
        one, two = [*start, *middle, *end], [*start, *other, *middle, *start, *end]
        assert [block for block, _one, _other in changed_parts(one, two)] == _of_difflib(one, two)


def test_parts_lie_between_the_blocks() -> None:
    assert changed_parts("abcdx", "aXcd") == [
        ((0, 0, 1), range(0), range(0)),
        ((2, 2, 2), range(1, 2), range(1, 2)),
        ((5, 4, 0), range(4, 5), range(4, 4)),
    ]
