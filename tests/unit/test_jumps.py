"""The jumps at the homes of functions, as bytes: what is written, what it took the place of, and what it tells."""

import numpy as np
import pytest

from liveso.apply.standstill import lies_inside
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.machine import X86_64
from liveso.plan.functions import HOME, homes_of_functions, overwritten_bytes, pack
from liveso.plan.jumps import pages_of, patches, present_code, version_led_to, wanted_code, with_overwritten
from liveso.plan.record import LibraryState, LoadedVersion
from liveso.store import Version

SIZE = X86_64.jump_size
ONE, TWO = Version("1" * 64), Version("2" * 64)
FIRST = LoadedVersion(ONE, 0x10000, size=0x3000)
SECOND = LoadedVersion(TWO, 0x40000, size=0x3000)
STATE = LibraryState("/lib/x.so", (FIRST, SECOND), ONE)
HOMES = np.array([(0x100, 0x10200, 0x10204), (0x180, 0x11FFE, 0x11FFE)], HOME)


def memory_of(runs: list[tuple[int, int]]) -> list[bytes]:
    """Pages whose bytes tell their addresses."""
    return [bytes((address + at) * 7 % 251 for at in range(size)) for address, size in runs]


def applied(runs: list[tuple[int, int]], contents: list[bytes], state: LibraryState, to: LoadedVersion) -> list[bytes]:
    code = wanted_code(to, HOMES, X86_64)
    memory = {address: bytearray(content) for (address, _size), content in zip(runs, contents, strict=True)}
    for it in patches(code, runs, contents, SIZE):
        start = next(address for address in memory if address <= it.address < address + len(memory[address]))
        at = it.address - start
        assert memory[start][at : at + len(it.expected)] == it.expected
        memory[start][at : at + len(it.content)] = it.content
    return [bytes(it) for it in memory.values()]


def test_jumps_lead_to_the_new_version_and_what_they_overwrote_comes_back() -> None:
    code = wanted_code(SECOND, HOMES, X86_64)
    runs = pages_of(code, SIZE)
    assert runs == [(0x10000, 0x1000), (0x11000, 0x2000)] or runs == [(0x10000, 0x3000)]
    before = memory_of(runs)
    present = present_code(code, runs, before, SIZE)
    state = with_overwritten(STATE, present, SIZE)
    rows = overwritten_bytes(state.home.overwritten)
    assert rows["place"].tolist() == [0x204, 0x1FFE] and not overwritten_bytes(state.versions[1].overwritten).size
    after = applied(runs, before, state, SECOND)
    assert after != before
    again = present_code(code, runs, after, SIZE)
    for (at, _home, place), row in zip(HOMES.tolist(), again, strict=True):
        content = row["content"][:SIZE].tobytes()
        assert content[:1] == b"\xe9"
        assert place + SIZE + int.from_bytes(content[1:], "little", signed=True) == SECOND.base + at
        assert version_led_to(state, place, content, X86_64) == state.versions[1]
    assert with_overwritten(state, again, SIZE) == state  # a jump is never taken for the function's own code
    assert applied(runs, after, state, state.home) == before
    assert version_led_to(state, 0x10204, before[0][0x204:0x209], X86_64) == state.home


def test_a_version_gets_its_own_code_back_also_where_the_one_that_runs_does_not_have_the_function() -> None:
    state = with_overwritten(STATE, present_of(wanted_code(SECOND, HOMES, X86_64)), SIZE)
    code = wanted_code(state.home, HOMES[:0], X86_64)
    assert code["place"].tolist() == [0x10204, 0x11FFE]
    assert [row["content"][:SIZE].tobytes() for row in code] == [b"\1" * SIZE] * 2


def present_of(code: Table) -> Table:
    found = code.copy()
    found["content"] = 1
    return found


def test_a_jump_that_does_not_reach_is_refused() -> None:
    far = LoadedVersion(TWO, 1 << 40, size=0x3000)
    with pytest.raises(Refused, match="too far"):
        wanted_code(far, HOMES, X86_64)


def test_tables_of_functions_are_packed_and_come_back() -> None:
    assert homes_of_functions(pack(HOMES)).tolist() == HOMES.tolist()
    assert pack(HOMES[:0]) == "" and len(homes_of_functions("")) == 0
    for damaged in ("x", pack(HOMES)[:-3], pack(HOMES) + "0"):
        with pytest.raises(ValueError):
            homes_of_functions(damaged)


@pytest.mark.parametrize(
    ("address", "is_inside"),
    [(0x1000, False), (0x1001, True), (0x1004, True), (0x1005, False), (0x2002, True), (0xFFF, False), (0x3000, False)],
)
def test_a_thread_is_in_the_way_only_behind_the_beginning(address: int, is_inside: bool) -> None:
    places = np.array([0x1000, 0x2000], "<u8")
    assert lies_inside(np.array([5, address], "<u8"), places, SIZE) == is_inside
