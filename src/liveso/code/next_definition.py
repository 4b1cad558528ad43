"""Whether a library asks for the definition of a symbol that comes after its own (RTLD_NEXT, dlsym(3))."""

import re
from bisect import bisect_right

from liveso.code.functions import functions
from liveso.code.imports import slot_names
from liveso.code.instructions import Reader
from liveso.elf import Image

_ASKED_BY = frozenset({"dlsym", "dlvsym"})
_FARTHEST = 4096  # bytes between an argument and its call


def asks_for_next_definition(image: Image) -> bool:
    """Whether the code calls `dlsym` or `dlvsym` with RTLD_NEXT, -1, as a constant."""
    if not _ASKED_BY & set(slot_names(image).values()):
        return False
    reader, known = Reader(image), functions(image)
    starts: list[int] = known["start"].tolist()
    for section in image.sections:
        if section.is_code and section.has_bytes:
            code = image.section_bytes(section)
            seen: set[int] = set()
            for match in re.finditer(b"|".join(map(re.escape, image.machine.minus_one_passed)), code):
                place = section.address + match.start()
                if place in seen:
                    continue  # before the same call
                index = bisect_right(starts, place) - 1
                end = int(known["end"][index]) if index >= 0 else section.end
                call = None
                for it in reader.read(place, max(place, min(end, place + _FARTHEST))):
                    seen.add(it.address)
                    if it.is_call:
                        call = it
                        break
                if call and call.place and call.place.name in _ASKED_BY:
                    return True
    return False
