"""Where variables, constants and functions live after one version and the next, by address maps alone."""

from dataclasses import replace

import numpy as np
import pytest

from liveso.compare.correspondence import Correspondence, Piece, SameFunction, without_gaps
from liveso.errors import Refused
from liveso.plan.address_map import EACH_THREAD, AddressMap, block_start, in_block
from liveso.plan.homes import InCommon, Shape, later_map, placement
from liveso.plan.packed import pack_stretches

START = 0x500
"""Where the variables of every version begin."""
FIRST = AddressMap(0x1000, range(START, START + 64), 32, 1)


def later(
    variables: Correspondence,
    running: AddressMap,
    base: int,
    *,
    size: int = 64,
    threads: tuple[Piece, ...] = (),
    tables: tuple[Piece, ...] = (),
    functions: tuple[SameFunction, ...] = (),
) -> AddressMap:
    common = InCommon(variables, Correspondence(threads, {}), tables, functions)
    return later_map(Shape(range(START, START + size), block=32), base, 7, common, running)


MOVED = Correspondence((Piece(0, 16, 32), Piece(16, 24, None), Piece(24, 56, 0)), {})
NOTHING = Correspondence((), {})


def homes(of: AddressMap, *ats: int) -> list[int]:
    """One by one and all at once are the same."""
    found = [of.home(at) for at in ats]
    assert of.homes(np.array(ats, "<i8")).tolist() == found
    return found


def test_variables_that_moved_live_where_the_first_version_put_them_and_new_ones_in_the_new() -> None:
    found = later(MOVED, FIRST, 0x9000, size=56)
    places = [START + at for at in (0, 15, 16, 24, 55)]
    assert homes(found, *places) == [0x1520, 0x152F, 0x9510, 0x1500, 0x151F]


def test_a_third_version_finds_what_the_second_brought() -> None:
    second = later(MOVED, FIRST, 0x9000, size=56)
    third = later(Correspondence((Piece(0, 56, 0), Piece(56, 64, None)), {}), second, 0x20000)
    places = [START + at for at in range(0, 56, 8)]
    assert homes(third, *places) == homes(second, *places)
    assert third.home(START + 56) == 0x20538
    assert later(Correspondence((Piece(0, 4, 18),), {}), second, 0x30000).home(START) == 0x9512


def test_neighbours_that_stay_neighbours_are_one_stretch() -> None:
    found = later(Correspondence((Piece(0, 8, 0), Piece(8, 64, 8)), {}), FIRST, 0x9000)
    assert found.stretches.tolist() == [(START, START + 64, 0x1500)]


def test_the_address_behind_the_variables_belongs_to_the_last() -> None:
    found = later(Correspondence((Piece(0, 64, 0),), {}), FIRST, 0x9000)
    assert homes(found, START + 64, START + 65) == [0x1540, 0x9541]


@pytest.mark.parametrize("piece", [Piece(0, 8, 64), Piece(0, 8, 60)])
def test_a_variable_without_a_home_is_refused(piece: Piece) -> None:
    with pytest.raises(Refused, match="no home"):
        later(Correspondence((piece,), {}), FIRST, 0x9000)
    with pytest.raises(Refused, match="no home"):
        later(Correspondence((Piece(0, 8, 0),), {}), AddressMap(0x1000), 0x9000)


def test_the_end_of_a_variable_is_led_to_where_the_variable_ends() -> None:
    pieces = Correspondence((Piece(0, 16, 48), Piece(16, 64, 0)), {0x77: 64})
    found = placement(InCommon(pieces, NOTHING, (), ()), FIRST, later(pieces, FIRST, 0x9000))
    assert found.led_to(0x77, START + 16) == 0x1540
    assert found.led_to(0x78, START + 16) == 0x1500
    places, ats = np.array([0x77, 0x78], "<u8"), np.array([START + 16] * 2, "<i8")
    assert found.all_led_to(places, ats).tolist() == [0x1540, 0x1500]


def test_an_end_between_variables_that_live_apart_is_refused() -> None:
    running = replace(FIRST, packed=pack_stretches([(START, START + 8, 0x7000), (START + 8, START + 16, 0x5000)]))
    with pytest.raises(Refused, match="border"):
        placement(InCommon(Correspondence((Piece(0, 16, 0),), {0x77: 8}), NOTHING, (), ()), running, running)


def test_thread_local_variables_live_in_the_block_of_the_version_that_brought_them() -> None:
    found = later(NOTHING, FIRST, 0x9000, threads=(Piece(0, 8, 16), Piece(8, 16, None)))
    assert [in_block(it) for it in homes(found, EACH_THREAD, EACH_THREAD + 8)] == [(1, 16), (7, 8)]
    third = later(NOTHING, found, 0x20000, threads=(Piece(0, 16, 0),))
    assert [in_block(it) for it in homes(third, EACH_THREAD + 4, EACH_THREAD + 12)] == [(1, 20), (7, 12)]
    assert FIRST.home(EACH_THREAD + 32) == block_start(1) + 32


def test_a_table_lives_with_the_version_that_brought_it() -> None:
    second = later(NOTHING, FIRST, 0x9000, tables=(Piece(0x40, 0x60, 0x80),))
    third = later(NOTHING, second, 0x20000, tables=(Piece(0x10, 0x30, 0x40),))
    assert homes(second, 0x3F, 0x40, 0x5F, 0x60) == [0x903F, 0x1080, 0x109F, 0x9060]
    assert third.home(0x18) == 0x1088


@pytest.mark.parametrize(("tables", "found"), [(range(0), 0x1080), (range(0x100), 0x20010)], ids=["constant", "table"])
def test_a_constant_lives_where_it_begins_and_a_table_all_in_one_piece(tables: range, found: int) -> None:
    second = replace(FIRST, packed=pack_stretches([(0x40, 0x48, 0x1080), (0x48, 0x60, 0x7000)]))
    common = InCommon(NOTHING, NOTHING, (Piece(0x10, 0x30, 0x40),), ())
    third = later_map(Shape(range(0), tables=tables), 0x20000, 0, common, second)
    assert homes(third, 0x10, 0x18) == [found, 0x20018]


def test_what_lies_between_variables_and_is_none_stays_where_it_is() -> None:
    shape = Shape(range(START, START + 64), gaps=(range(START + 16, START + 24),))
    common = InCommon(Correspondence((Piece(0, 64, 0),), {}), NOTHING, (), ())
    found = later_map(shape, 0x9000, 0, common, FIRST)
    assert homes(found, START + 15, START + 16, START + 23, START + 24) == [0x150F, 0x9510, 0x9517, 0x1518]


def test_a_function_is_known_by_the_address_that_the_first_version_has_for_it() -> None:
    second = later(
        NOTHING, FIRST, 0x9000, functions=(SameFunction(0x100, 0x180, 0x104), SameFunction(0x110, 0x190, None))
    )
    third = later(NOTHING, second, 0x20000, functions=(SameFunction(0x180, 0x140, 0x180),))
    assert homes(second, 0x180, 0x181, 0x190) == [0x1100, 0x9181, 0x9190]
    assert homes(third, 0x140, 0x180) == [0x1100, 0x20180]
    assert third.entries.tolist() == [(0x140, 0x1100, 0x1104)]


def test_what_two_functions_became_keeps_both_homes_and_is_known_by_neither() -> None:
    second = later(
        NOTHING, FIRST, 0x9000, functions=(SameFunction(0x100, 0x180, 0x100), SameFunction(0x110, 0x180, 0x110))
    )
    assert second.home(0x180) == 0x9180
    assert len(second.entries) == 2


def test_parts_cover_all_and_tell_what_is_a_versions_own() -> None:
    found = replace(FIRST, packed=pack_stretches([(0x40, 0x48, 0x8000), (0x50, 0x60, 0x7000)]))
    assert [*found.parts(0x44, 0x58)] == [(0x44, 0x48, 0x8004), (0x48, 0x50, 0x1048), (0x50, 0x58, 0x7000)]
    assert [*found.parts(0x60, 0x70)] == [(0x60, 0x70, 0x1060)]
    assert not [*found.parts(0x44, 0x44)]


def test_what_lies_where_the_linker_had_something_is_new() -> None:
    pieces = [Piece(0, 56, 0), Piece(56, 64, None), Piece(64, 96, 128)]
    gaps = [range(48, 100), range(140, 144)]
    assert list(without_gaps(pieces, gaps)) == [
        Piece(0, 48, 0),
        Piece(48, 56, None),
        Piece(56, 64, None),
        Piece(64, 76, 128),
        Piece(76, 80, None),
        Piece(80, 96, 144),
    ]
    assert list(without_gaps(pieces, [])) == pieces
    assert list(without_gaps([Piece(0, 8, 40)], [range(0, 100)])) == [Piece(0, 8, None)]
