"""The prepared copy of a version: what the dynamic linker opens in the target.

It differs from the version only in what the dynamic linker owns, so that opening it runs none of its code and
gives it no state of its own: initialisers, finalisers and thread-local storage are switched off.
"""

import numpy as np

from liveso.elf import Image, tables

_SWITCHED_OFF = (
    tables.DT_INIT,
    tables.DT_FINI,
    tables.DT_INIT_ARRAY,
    tables.DT_FINI_ARRAY,
    tables.DT_INIT_ARRAYSZ,
    tables.DT_FINI_ARRAYSZ,
)
# ld.so ignores unknown tags; this one is in the range for operating systems (gABI, "Dynamic Section") and unused there
_IGNORED_TAG = 0x6000_1000


def prepare(image: Image) -> bytes:
    """The bytes of the prepared copy of `image`."""
    content = bytearray(image.content)
    for index, (tag, _value) in enumerate(image.dynamic.tolist()):
        if tag in _SWITCHED_OFF:
            _put(content, image.dynamic_offset + index * tables.DYNAMIC.itemsize, _IGNORED_TAG + tag, 8)
    for index in np.flatnonzero(image.segments["type"] == tables.PT_TLS).tolist():
        _put(content, image.segments_offset + index * tables.SEGMENT.itemsize, tables.PT_NULL, 4)
    for index in own_tls_relocations(image):
        _put(content, image.relocations_offset[index] + 8, image.machine.none, 4)
    return bytes(content)


def own_tls_relocations(image: Image) -> list[int]:
    """The rows of `image.relocations` that concern its own thread-local storage: relinking writes their words."""
    rows = np.flatnonzero(np.isin(image.relocations["type"], sorted(image.machine.tls_relocations)))
    return [
        row
        for row in rows.tolist()
        if image.relocations["symbol"][row] == 0 or image.symbols[image.relocations["symbol"][row]].is_defined
    ]


def _put(content: bytearray, offset: int, number: int, size: int) -> None:
    content[offset : offset + size] = number.to_bytes(size, "little")
