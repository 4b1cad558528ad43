"""Where variables and tables live after one version and the next, by stretches alone."""

import numpy as np
import pytest

from liveso.compare.correspondence import Correspondence, Piece
from liveso.errors import Refused
from liveso.plan import LibraryState
from liveso.plan.homes import address_of, later_homes, later_tables, object_address, placement
from liveso.plan.record import LoadedVersion, Stretch, decode_record, encode_record
from liveso.store import Version

FIRST = (Stretch(0, 64, 0x1000),)


def later(correspondence: Correspondence, running: tuple[Stretch, ...], base: int) -> tuple[Stretch, ...]:
    """The homes of a version whose data span begins at 0x500."""
    return later_homes(correspondence, running, base + 0x500)


def test_variables_that_moved_live_where_the_first_version_put_them_and_new_ones_in_the_new() -> None:
    found = later(Correspondence((Piece(0, 16, 32), Piece(16, 24, None), Piece(24, 56, 0)), {}), FIRST, 0x9000)
    assert found == (Stretch(0, 16, 0x1020), Stretch(16, 24, 0x9510), Stretch(24, 56, 0x1000))
    assert [address_of(found, at) for at in (0, 15, 16, 24, 55)] == [0x1020, 0x102F, 0x9510, 0x1000, 0x101F]


def test_a_third_version_finds_what_the_second_brought() -> None:
    second = later(Correspondence((Piece(0, 16, 32), Piece(16, 24, None), Piece(24, 56, 0)), {}), FIRST, 0x9000)
    third = later(Correspondence((Piece(0, 56, 0), Piece(56, 64, None)), {}), second, 0x20000)
    assert third == (*second, Stretch(56, 64, 0x20538))
    assert later(Correspondence((Piece(0, 4, 18),), {}), second, 0x20000) == (Stretch(0, 4, 0x9512),)


def test_neighbours_that_stay_neighbours_are_one_stretch() -> None:
    assert later(Correspondence((Piece(0, 8, 0), Piece(8, 64, 8)), {}), FIRST, 0x9000) == FIRST


def test_a_variable_without_a_home_is_refused() -> None:
    with pytest.raises(Refused, match="no home"):
        later(Correspondence((Piece(0, 8, 64),), {}), FIRST, 0x9000)


def test_the_end_of_a_variable_is_led_to_where_the_variable_ends() -> None:
    pieces = Correspondence((Piece(0, 16, 48), Piece(16, 64, 0)), {0x77: 64})
    found = placement(pieces, FIRST, later(pieces, FIRST, 0x9000))
    assert found.led_to(0x77, 16) == 0x1040
    assert found.led_to(0x78, 16) == 0x1000
    places, ats = np.array([0x77, 0x78], "<u8"), np.array([16, 16], "<i8")
    assert found.all_led_to(places, ats).tolist() == [0x1040, 0x1000]


def test_an_end_between_variables_that_live_apart_is_refused() -> None:
    running = (Stretch(0, 8, 0x1000), Stretch(8, 16, 0x5000))
    with pytest.raises(Refused, match="border"):
        placement(Correspondence((Piece(0, 16, 0),), {0x77: 8}), running, running)


def test_a_table_lives_with_the_version_that_brought_it() -> None:
    first = LoadedVersion(Version("1" * 64), 0x1000)
    tables = later_tables((Piece(0x40, 0x60, 0x80),), first, range(0))
    second = LoadedVersion(Version("2" * 64), 0x9000, tables=tables)
    third = LoadedVersion(Version("3" * 64), 0x20000, tables=later_tables((Piece(0x10, 0x30, 0x40),), second, range(0)))
    assert [object_address(second, at) for at in (0x3F, 0x40, 0x5F, 0x60)] == [0x903F, 0x1080, 0x109F, 0x9060]
    assert object_address(third, 0x18) == 0x1088


@pytest.mark.parametrize(("whole", "found"), [(range(0), 0x1080), (range(0x100), 0x20010)], ids=["constant", "table"])
def test_a_constant_lives_where_it_begins_and_a_table_all_in_one_piece(whole: range, found: int) -> None:
    second = LoadedVersion(Version("2" * 64), 0x9000, tables=(Stretch(0x40, 0x48, 0x1080), Stretch(0x48, 0x60, 0x7000)))
    third = LoadedVersion(Version("3" * 64), 0x20000, tables=later_tables((Piece(0x10, 0x30, 0x40),), second, whole))
    assert object_address(third, 0x10) == found
    assert object_address(third, 0x18) == 0x20018


def test_the_record_keeps_homes_and_tables() -> None:
    first, second = Version("1" * 64), Version("2" * 64)
    loaded = LoadedVersion(second, 0x1000, 5, {"f@V": 7}, FIRST, (Stretch(1, 2, 3),))
    state = LibraryState("/lib/x.so", (LoadedVersion(first, 0x8000), loaded), second, False)
    assert decode_record(encode_record({state.path: state})) == {state.path: state}
