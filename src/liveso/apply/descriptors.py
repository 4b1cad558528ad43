"""What the dynamic linker of a target made of TLS descriptors."""

import numpy as np

from liveso.elf import Image
from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.plan.record import LoadedVersion
from liveso.plan.thread_locals import Descriptor
from liveso.process import Agent
from liveso.process.objects import read_words
from liveso.store import own_descriptors

_WORDS_OF_PAIR = 3  # struct tlsdesc_dynamic_arg of glibc: module, place, generation


async def read_descriptors(agent: Agent, image: Image, base: int, module: int) -> dict[int, Descriptor]:
    """The descriptors of a version that was just opened at `base`, with the module ID `module`, by their offsets.

    Raises Refused where they are not as glibc makes them.
    """
    places = {int(image.relocations["offset"][row]): place for row, place in own_descriptors(image).items()}
    if not places:
        return {}
    offsets, word = np.array(sorted(places), "<u8"), image.machine.word
    made = await _words(agent, offsets + np.uint64(base), 2, word)
    pairs = await _words(agent, np.array([pair for _function, pair in made], "<u8"), _WORDS_OF_PAIR, word)
    found = {
        offset: Descriptor(function, pair, *behind)
        for offset, (function, pair), behind in zip(offsets.tolist(), made, pairs, strict=True)
    }
    for offset, it in found.items():
        if (it.module, it.place) != (module, places[offset]):
            raise Refused(
                f"the dynamic linker made something of its TLS descriptor at {offset:#x} that liveso does not know; "
                "restart the program to get it"
            )
    return found


async def static_function(agent: Agent, home: LoadedVersion, image: Image, distance: int) -> int:
    """The function in descriptors for variables whose distance from the thread pointer is known, as one has it of the
    `home`, whose block is `distance` away; 0 where it has none such."""
    row = next(iter(own_descriptors(image)), None)
    if row is None:
        return 0
    offset, _kind, index, addend = image.relocations[row].item()
    place = addend + (image.own_value(index) or 0)
    ((function, argument),) = await _words(agent, np.array([home.base + offset], "<u8"), 2, image.machine.word)
    return function if argument == (distance + place) % (1 << 8 * image.machine.word) else 0


async def _words(agent: Agent, addresses: Table, count: int, word: int) -> list[list[int]]:
    """So many words from each of the addresses on. Raises Refused where they lead nowhere."""
    rows = addresses[:, None] + np.arange(count, dtype="<u8") * np.uint64(word)
    if not rows.size or (rows % np.uint64(word)).any():
        raise Refused("its TLS descriptors lead nowhere; restart the program to get it")
    values = await read_words(agent, rows.ravel())
    found: list[list[int]] = values.reshape(rows.shape).tolist()
    return found
