"""The linker's own code in a library: PLT stubs, and what crtbeginS.o and crti.o bring, which runs at start and end."""

from liveso.code.decode import decode
from liveso.code.form import Operation
from liveso.code.functions import functions
from liveso.code.syntax import syntax
from liveso.elf import Image, Section, tables
from liveso.elf.data import data_layout
from liveso.elf.tables import Table

_LONGEST_LOOK = 32  # bytes: the flag is the first thing that the finaliser asks about
_BRANCHES = ("call", "jmp", "bl", "b")
_LARGEST = 512  # bytes of all of them
_LONGEST_CALLED = 64  # bytes
_LAST = ("ret", "jmp", "b")
_SECTIONS = frozenset({".init", ".fini"})


def is_start_up(section: Section) -> bool:
    """Whether a section of code has none of the library's own."""
    return section.name.startswith(".plt") or section.name in _SECTIONS


def has_own_code(image: Image) -> bool:
    """Whether there is any code besides the linker's. Raises ImageError as `functions` does."""
    known = functions(image)
    stubs = start_up_stubs(image, known)
    if ((known["start"] < stubs.start) | (known["start"] >= stubs.stop)).sum() > 1:
        return True
    return any(
        it.is_code and it.size and not is_start_up(it) and not (it.address >= stubs.start and it.end <= stubs.stop)
        for it in image.sections
    )


def finaliser_flag(image: Image) -> int | None:
    """The address of the variable in which the first finaliser (crtstuff.c) remembers that it ran, if it has one."""
    first = image.tag(tables.DT_FINI_ARRAY)
    rows = image.relocations[(image.relocations["offset"] == first) & (image.relocations["type"] != 0)]
    entry = int(rows[0]["addend"]) if first and len(rows) else 0
    if entry not in start_up_stubs(image, functions(image)):
        return None
    span = data_layout(image).span
    code = image.bytes_at(entry, _LONGEST_LOOK)
    for _address, form, target in syntax(image.machine).forms(code, decode(image.machine, code, entry), frozenset()):
        if target is not None and target in span and form.operation is not Operation.ADDRESS:
            return target
    return None


def start_up_stubs(image: Image, known: Table) -> range:
    """Where the linker's own start-up functions (crtbeginS.o) lie, which never run in a prepared copy: from
    `deregister_tm_clones`, which the first finaliser calls, to the end of the first initialiser. They have no unwind
    entry; where they have, only functions that lie and lead as these do are taken for them."""
    starts, ends, described = [], [], []
    for tag in (tables.DT_INIT_ARRAY, tables.DT_FINI_ARRAY):
        first = image.tag(tag)
        rows = image.relocations[(image.relocations["offset"] == first) & (image.relocations["type"] != 0)]
        entry = int(rows[0]["addend"]) if first and len(rows) else 0
        if not image.is_code(entry):
            continue
        has_entry = bool(((known["start"] <= entry) & (entry < known["end"])).any())
        if has_entry and not image.machine.start_up_is_described:
            continue
        starts.append(entry)
        for address, size, mnemonic, operands in decode(image.machine, image.bytes_at(entry, 128), entry):
            ends.append(address + size)
            target = operands.removeprefix("#")
            if mnemonic in _BRANCHES and target.startswith("0x") and int(target, 0) < entry:
                starts.append(int(target, 0))
                described.append((entry, int(target, 0)))
            if mnemonic in _LAST:
                break
    if not ends:
        return range(0)
    if image.machine.start_up_is_described:
        found = _in_order(described, max(ends))
        return range(min(found.start, _called_at_start(image, found.start)), found.stop)
    before = known["end"][known["end"] <= max(starts)].max(initial=0)  # calls through the PLT lead further away
    return range(min(start for start in starts if start >= before), max(ends))


def _called_at_start(image: Image, behind: int) -> int:
    """The address of the function that `_init` calls (crti.o: call_weak_fn), if it lies just before an address; else
    that address."""
    section = image.section(".init")
    if section is not None:
        for _address, _size, mnemonic, operands in decode(image.machine, image.section_bytes(section), section.address):
            target = operands.removeprefix("#")
            if mnemonic == "bl" and target.startswith("0x") and 0 < behind - int(target, 0) <= _LONGEST_CALLED:
                return int(target, 0)
    return behind


def _in_order(branches: list[tuple[int, int]], end: int) -> range:
    """The range of the start-up functions, if the last of `branches`, from initialiser and finaliser, are theirs:
    `deregister_tm_clones`, which the finaliser calls, `register_tm_clones`, to which the initialiser branches, the
    finaliser and the initialiser lie close together."""
    targets = dict(branches)  # the finaliser calls through the PLT before
    if len(targets) != 2:
        return range(0)
    (initialiser, registers), (finaliser, deregisters) = targets.items()
    is_theirs = deregisters < registers < finaliser < initialiser < deregisters + _LARGEST
    return range(deregisters, end) if is_theirs else range(0)
