"""The record of its updates that a visited process keeps: in memory of its own, to which struct live_area leads."""

from collections.abc import Mapping

from liveso.errors import TargetError
from liveso.process.arrival import CALL_LIMIT, Arrived, new_memory
from liveso.process.visit import Visit
from liveso.process.written import read_ranges

_WORD = 8
_LARGEST = 1 << 28  # bytes


async def keep_record(it: Visit, functions: Mapping[str, int], live: Arrived, record: bytes) -> None:
    """Let a record take the place of the one before. Raises TargetError where there is no memory for it."""
    content = len(record).to_bytes(_WORD, "little") + record
    place = await new_memory(it, functions, live.place, len(content))
    it.write(place, content)
    before = int.from_bytes(it.read(live.area, _WORD), "little")
    it.write(live.area, place.to_bytes(_WORD, "little"))
    if before:
        size = int.from_bytes(it.read_some(before, _WORD), "little")
        await it.call(functions["munmap"], [before, _WORD + size], live.place, limit=CALL_LIMIT)


def read_record(pid: int, thread: int, live: Arrived) -> bytes:
    """The record, empty where there is none. Raises TargetError where it is damaged, TargetGone."""

    def word(address: int) -> int:
        return int.from_bytes(read_ranges(pid, thread, [(address, _WORD)])[0], "little")

    place = word(live.area)
    if not place:
        return b""
    size = word(place)
    if size > _LARGEST:
        raise TargetError("the record of its updates is damaged")
    return read_ranges(pid, thread, [(place + _WORD, size)])[0]
