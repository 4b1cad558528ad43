"""The names of functions, from both symbol tables."""

import numpy as np

from liveso.elf import Image, once_per_image, tables


@once_per_image
def function_names(image: Image) -> dict[str, int]:
    """The address of each name that is the name of one function only; of `.symtab`, too, where the file has one.

    A name of the dynamic symbol table goes before the same name of a local function.
    """
    found: dict[str, int] = {}
    ambiguous: set[str] = set()
    for name, address in _local_names(image):
        if found.setdefault(name, address) != address:
            ambiguous.add(name)
    for name in ambiguous:
        del found[name]
    for symbol in image.symbols:
        if symbol.is_defined and symbol.type in (tables.STT_FUNC, tables.STT_GNU_IFUNC):
            found[str(symbol)] = symbol.value
            if symbol.is_default:
                found[symbol.name] = symbol.value
    return found


def _local_names(image: Image) -> list[tuple[str, int]]:
    table, strings = (next((it for it in image.sections if it.name == name), None) for name in (".symtab", ".strtab"))
    if table is None or strings is None or not (table.has_bytes and strings.has_bytes):
        return []
    size = table.size // tables.SYMBOL.itemsize * tables.SYMBOL.itemsize
    rows = np.frombuffer(image.section_bytes(table)[:size], tables.SYMBOL)
    rows = rows[(rows["info"] & 15 == tables.STT_FUNC) & (rows["section"] != tables.SHN_UNDEF)]
    text = image.section_bytes(strings)
    names = []
    for start, address in zip(rows["name"].tolist(), rows["value"].tolist(), strict=True):
        end = text.find(b"\0", start)
        names.append((text[start : end if end >= 0 else len(text)].decode("utf-8", "replace"), address))
    return names
