"""The jumps at the homes of functions, as bytes: what is written, what it took the place of, and what it tells."""

import numpy as np
import pytest

from liveso.apply.standstill import lies_inside
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.machine import X86_64
from liveso.plan.address_map import AddressMap
from liveso.plan.jumps import led_to, patches, present_code, version_at, wanted_code, with_overwritten
from liveso.plan.packed import HOME, pack, unpacked
from liveso.plan.record import LibraryState, LoadedVersion
from liveso.process.pages import PAGE, Pages, one_page_each, pages_of
from liveso.store import Version

SIZE = X86_64.jump_size
ONE, TWO = Version("1" * 64), Version("2" * 64)
FIRST = LoadedVersion(ONE, AddressMap(0x10000), size=0x3000)
SECOND = LoadedVersion(TWO, AddressMap(0x40000), size=0x3000)
STATE = LibraryState("/lib/x.so", (FIRST, SECOND), ONE)
HOMES = np.array([(0x100, 0x10200, 0x10204), (0x180, 0x11FFE, 0x11FFE)], HOME)


def memory_of(numbers: Table) -> Pages:
    """Pages whose bytes tell their addresses."""
    addresses = (one_page_each(numbers)[:, None] + np.arange(PAGE, dtype="<u8")).ravel()
    return Pages(numbers, (addresses * np.uint64(7) % np.uint64(251)).astype(np.uint8))


def applied(pages: Pages, to: LoadedVersion) -> Pages:
    memory = pages.memory.copy()
    for it in patches(wanted_code(to, HOMES, X86_64)[0], pages, SIZE):
        assert pages.between(it.address, it.address + len(it.expected)).tobytes() == it.expected
        at = int(pages.offsets(np.array([it.address], "<u8"))[0])
        memory[at : at + len(it.content)] = np.frombuffer(it.content, np.uint8)
    return Pages(pages.numbers, memory)


def test_jumps_lead_to_the_new_version_and_what_they_overwrote_comes_back() -> None:
    code, _far = wanted_code(SECOND, HOMES, X86_64)
    numbers = pages_of(code["place"], SIZE)
    assert numbers.tolist() == [0x10, 0x11, 0x12]
    before = memory_of(numbers)
    state = with_overwritten(STATE, present_code(code, before, SIZE), SIZE)
    assert state.home.overwritten["place"].tolist() == [0x204, 0x1FFE] and not state.versions[1].overwritten.size
    after = applied(before, SECOND)
    assert (after.memory != before.memory).any()
    again = present_code(code, after, SIZE)
    for (at, _home, place), row in zip(HOMES.tolist(), again, strict=True):
        content = row["content"][:SIZE].tobytes()
        assert content[:1] == b"\xe9"
        assert place + SIZE + int.from_bytes(content[1:], "little", signed=True) == SECOND.base + at
        assert version_at(state, led_to(place, content, X86_64)) == state.versions[1]
    assert with_overwritten(state, again, SIZE) == state  # a jump is never taken for the function's own code
    assert applied(after, state.home).memory.tobytes() == before.memory.tobytes()
    own = before.contents(np.array([0x10204], "<u8"), SIZE).tobytes()
    assert version_at(state, led_to(0x10204, own, X86_64)) == state.home


def test_only_pages_that_change_are_written_and_neighbours_together() -> None:
    code, _far = wanted_code(SECOND, HOMES, X86_64)
    pages = memory_of(pages_of(code["place"], SIZE))
    assert [(it.address, len(it.content)) for it in patches(code, pages, SIZE)] == [(0x10000, 3 * PAGE)]
    assert [(it.address, len(it.content)) for it in patches(code[:1], pages, SIZE)] == [(0x10000, PAGE)]
    assert not patches(present_code(code, pages, SIZE), pages, SIZE)


def test_a_version_gets_its_own_code_back_also_where_the_one_that_runs_does_not_have_the_function() -> None:
    state = with_overwritten(STATE, present_of(wanted_code(SECOND, HOMES, X86_64)[0]), SIZE)
    code, _far = wanted_code(state.home, HOMES[:0], X86_64)
    assert code["place"].tolist() == [0x10204, 0x11FFE]
    assert [row["content"][:SIZE].tobytes() for row in code] == [b"\1" * SIZE] * 2


def present_of(code: Table) -> Table:
    found = code.copy()
    found["content"] = 1
    return found


def test_a_jump_that_does_not_reach_is_refused() -> None:
    far = LoadedVersion(TWO, AddressMap(1 << 40), size=0x3000)
    with pytest.raises(Refused, match="too far"):
        wanted_code(far, HOMES, X86_64)


def test_tables_of_functions_are_packed_and_come_back() -> None:
    assert unpacked(pack(HOMES), HOME).tolist() == HOMES.tolist()
    assert pack(HOMES[:0]) == "" and len(unpacked("", HOME)) == 0
    for damaged in ("x", pack(HOMES)[:-3], pack(HOMES) + "0"):
        with pytest.raises(ValueError):
            unpacked(damaged, HOME)


@pytest.mark.parametrize(
    ("address", "is_inside"),
    [(0x1000, False), (0x1001, True), (0x1004, True), (0x1005, False), (0x2002, True), (0xFFF, False), (0x3000, False)],
)
def test_a_thread_is_in_the_way_only_behind_the_beginning(address: int, is_inside: bool) -> None:
    places = np.array([0x1000, 0x2000], "<u8")
    assert lies_inside(np.array([5, address], "<u8"), places, SIZE) == is_inside
