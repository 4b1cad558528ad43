"""Threads whose frames cannot be told, because their code has no unwind tables (Go), and which wait nevertheless where
they may be let make a call.

Such a thread is in a system call that other code than libc made, on the stack that it was begun with, and nothing on
that stack is an address in the dynamic linker, an allocator or libc, but for the functions that glibc begins a program
or thread with. So it is inside none of these: whatever is left of calls that are over speaks against it only.
"""

from collections.abc import Iterator

from liveso.elf.tables import Table
from liveso.process.kinds import CLONE, START, Kind, Kinds
from liveso.process.mapped import MappedObject, MappedObjects
from liveso.process.memory import Unreadable
from liveso.process.stack_words import lie_inside, stack_words

_OTHER = frozenset({Kind.OTHER, Kind.KERNEL})


def waits_by_itself(registers: bytes, objects: MappedObjects) -> bool:
    """Whether it is so of a thread that stands in a system call with these registers. Raises Unreadable."""
    facts, calls = objects.machine.frames, objects.machine.calls
    if facts is None or calls is None:
        return False
    pc, stack = (int.from_bytes(registers[facts.places[it] :][:8], "little") for it in _numbers(objects))
    thread = int.from_bytes(registers[calls.thread_at :][:8], "little")
    kinds = Kinds(objects)
    if kinds.of(objects.at(pc)) is not Kind.OTHER or not is_at_system_call(pc, objects):
        return False
    mapping = next((it for it in objects.mappings if it.start <= stack < it.end), None)
    if mapping is None or not (thread in range(mapping.start, mapping.end) or mapping.file.path == "[stack]"):
        return False
    words = stack_words(objects.memory, objects.mappings, stack, thread if thread > stack else mapping.end)
    return words is not None and _are_of_its_beginning(words, objects, kinds)


def is_at_system_call(pc: int, objects: MappedObjects) -> bool:
    """Whether code stands before a system call that is to be made again, or behind one. Raises Unreadable."""
    facts = objects.machine.frames
    if facts is None:
        return False
    size = len(facts.system_call)
    content = objects.memory.content(pc - size, 2 * size)
    return facts.system_call in (content[:size], content[size:])


def _numbers(objects: MappedObjects) -> tuple[int, int]:
    facts = objects.machine.frames
    assert facts is not None
    return facts.program_counter, facts.stack_pointer


def _are_of_its_beginning(words: Table, objects: MappedObjects, kinds: Kinds) -> bool:
    """Whether what could be addresses in libc are, from the oldest on, in the function with which glibc begins a
    program or thread, and in one that is not exported."""
    found: list[tuple[int, int, MappedObject]] = []
    for image in _images(objects):
        if kinds.of(image) in _OTHER:
            continue
        for code in image.code:
            inside = lie_inside(words, code).nonzero()[0].tolist()
            found += [(at, int(words[at]) - 1, image) for at in inside]
    found.sort(key=lambda it: -it[0])
    if len(found) > 2 or any(kinds.of(image) is not Kind.LIBC for _at, _place, image in found):
        return False
    names = [kinds.exports(image).functions_at(place) for _at, place, image in found]
    return not names or (bool(names[0] & (CLONE | {START})) and not any(names[1:]))


def _images(objects: MappedObjects) -> Iterator[MappedObject]:
    for part in objects.mappings:
        if part.offset == 0 and part.file.inode:
            try:
                yield objects.image(part)
            except Unreadable:  # a file of another kind
                continue
