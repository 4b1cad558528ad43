"""Islands: each jump has its own for ever, near enough, and memory for them is looked for where nothing is."""

import numpy as np
import pytest

from liveso.machine.aarch64_jump import AARCH64_JUMP as JUMP
from liveso.plan.islands import ISLAND_SIZE, NoRoom, islands_for, place_for_room
from liveso.process.memory_map import Protections
from liveso.process.pages import PAGE, Pages

ROOM = (0x7000_0000, PAGE)
FAR = 1 << 40


def pages(memory: bytes = bytes(PAGE)) -> Pages:
    return Pages(np.array([ROOM[0] // PAGE], "<u8"), np.frombuffer(memory, np.uint8))


def after(before: Pages, words: np.ndarray) -> Pages:
    memory = before.memory.copy()
    for address, expected, value in words.tolist():
        at = address - ROOM[0]
        assert int.from_bytes(memory[at : at + 8].tobytes(), "little") == expected
        memory[at : at + 8] = np.frombuffer(value.to_bytes(8, "little"), np.uint8)
    return Pages(before.numbers, memory)


def test_a_jump_keeps_its_island_whatever_it_leads_to() -> None:
    places = [ROOM[0] - 0x10000 * number for number in (1, 2, 3)]
    first, words = islands_for({it: FAR + it for it in places}, [ROOM], pages(), JUMP)
    assert len(set(first.values())) == 3 and all(at % ISLAND_SIZE == 0 for at in first.values())
    then = after(pages(), words)
    again, words = islands_for({it: FAR + it for it in places}, [ROOM], then, JUMP)
    assert again == first and not len(words)
    moved, words = islands_for({places[1]: FAR * 2, places[0] + 4: FAR}, [ROOM], then, JUMP)
    assert moved[places[1]] == first[places[1]] and moved[places[0] + 4] not in first.values()
    led = after(then, words).words(np.array([moved[places[1]], moved[places[1]] + 8], "<u8")).tolist()
    assert JUMP.led_on is not None and JUMP.led_on(led) == FAR * 2


def test_what_has_no_island_in_reach_says_which_jumps_need_room() -> None:
    near, far = ROOM[0] + 4, ROOM[0] + (1 << 28)
    with pytest.raises(NoRoom) as found:
        islands_for({near: FAR, far: FAR}, [ROOM], pages(), JUMP)
    assert found.value.places.tolist() == [far]
    many = {ROOM[0] + 4 * number: FAR for number in range(PAGE // ISLAND_SIZE + 1)}
    with pytest.raises(NoRoom):
        islands_for(many, [ROOM], pages(), JUMP)


def mapped(*ranges: tuple[int, int]) -> Protections:
    starts, ends = np.array(sorted(ranges), "<u8").T
    return Protections(starts, ends, np.zeros(len(starts), "<u4"))


def test_room_is_free_and_in_reach_of_all_jumps() -> None:
    places = np.array([0x5500_0000_0000 + 0x1000 * number for number in range(1000)], "<u8")
    around = mapped(
        (0x5500_0000_0000 - (64 << 20), 0x5500_0000_0000 + (100 << 20)), (0x5600_0000_0000, 0x5600_0001_0000)
    )
    found = place_for_room(places, around, JUMP)
    assert found is not None
    start, size = found
    assert size >= 1000 * ISLAND_SIZE and start % (1 << 16) == 0
    for place in (int(places[0]), int(places[-1])):
        assert start - place in JUMP.reach and start + size - ISLAND_SIZE - place in JUMP.reach
    for low, high in zip(around.starts.tolist(), around.ends.tolist(), strict=True):
        assert start + size <= low or start >= high


def test_what_is_taken_unseen_is_left_alone() -> None:
    """As by an emulator, whose own memory no map of its program's shows."""
    places, free = np.array([0x5500_0000_0000], "<u8"), mapped((0x5500_0000_0000, 0x5500_0001_0000))
    taken: list[range] = []
    while (found := place_for_room(places, free, JUMP, taken)) is not None:
        start, size = found
        assert all(start >= it.stop or start + size <= it.start for it in taken)
        taken.append(range(start - (size << len(taken)), start + size + (size << len(taken))))
    assert 2 < len(taken) < 16


def test_where_all_is_taken_there_is_no_room() -> None:
    places = np.array([0x5500_0000_0000], "<u8")
    taken = mapped((0x5500_0000_0000 - (1 << 28), 0x5500_0000_0000 + (1 << 28)))
    assert place_for_room(places, taken, JUMP) is None
    lowest = np.array([0x10000], "<u8")
    found = place_for_room(lowest, mapped((0x10000, 0x20000)), JUMP)
    assert found is not None and found[0] >= 0x20000
