"""The three-way merge of initial values: base, ours, theirs."""

import pytest

from liveso.errors import Refused
from liveso.plan.merge import Candidate, merge


def candidate(base: int, theirs: int, *, is_code: bool = False) -> Candidate:
    return Candidate(address=0x1000, base=base, theirs=theirs, at=0x20, is_code_or_constant=is_code)


def test_what_the_program_left_alone_gets_the_new_value() -> None:
    assert merge([candidate(1, 2)], [1]) == [(0x1000, 1, 2)]


def test_what_holds_the_new_value_already_stays() -> None:
    assert merge([candidate(1, 2)], [2]) == []


def test_what_both_changed_is_refused_with_all_three_values() -> None:
    with pytest.raises(Refused, match=r"\+0x20 .* from 0x1 to 0x2, but the program has set it to 0x3"):
        merge([candidate(1, 2)], [3])


def test_a_callback_that_the_program_has_set_stays_the_programs() -> None:
    assert merge([candidate(1, 2, is_code=True)], [3]) == []
    assert merge([candidate(1, 2, is_code=True)], [1]) == [(0x1000, 1, 2)]
