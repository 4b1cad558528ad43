"""Match the thread-local variables of two versions: threads that run have a block of the old version's shape."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from liveso.code import ThreadLocalReferences, ThreadLocalSlots, thread_local_references
from liveso.compare.correspondence import Correspondence
from liveso.compare.initial import InitialWord, Kind, differing_places, initial_word
from liveso.compare.known_data import NamedVariable, Side, called_as_before, named_variables
from liveso.compare.matching import Matching
from liveso.compare.moved_variables import MatchedVariables, match_variables
from liveso.debug.debug_info import DebugInfo
from liveso.elf import Image, once_per_image, tables
from liveso.elf.data import data_layout


@dataclass(frozen=True, slots=True)
class Block:
    """The thread-local storage of a module: what each thread's block of it starts with (ELF TLS, 3.1).

    `content` are its bytes before relocation, without the zeros behind them, `words` those that are relocated, by their
    place in it; `filled` is the size of what the file has, and `align` its alignment, in bytes.
    """

    content: bytes
    words: dict[int, InitialWord]
    filled: int
    align: int


@once_per_image
def block_of(image: Image) -> Block:
    """The thread-local storage of an image; an empty one where it has none. Raises ImageError where its variables
    cannot be located."""
    segment = image.segment(tables.PT_TLS)
    if segment is None:
        return Block(b"", {}, 0, 1)
    start, filled = int(segment["address"]), int(segment["file_size"])
    table = image.relocations
    inside = table[(table["offset"] >= start) & (table["offset"] < start + filled)]
    layout = data_layout(image)
    words = {row[0] - start: initial_word(image, layout, row) for row in inside.tolist()}
    content = image.bytes_at(start, filled)
    return Block(content, words, filled, int(segment["align"]))


def different_blocks(old: Image, new: Image) -> Iterator[str]:
    """How the tables of two versions differ in where thread-local variables lie, in words."""
    blocks = block_of(old), block_of(new)
    if old.block_size != new.block_size:
        yield f"the thread-local storage changes from {old.block_size} to {new.block_size} bytes"
    elif blocks[0].filled != blocks[1].filled:
        yield f"the initialised thread-local variables take {blocks[1].filled} bytes instead of {blocks[0].filled}"
    if blocks[0].align != blocks[1].align:
        yield f"the thread-local storage is aligned to {blocks[1].align} instead of {blocks[0].align} bytes"
    for before in old.defined.values():
        after = new.successor_of(before)
        if after is not None and before.type == tables.STT_TLS and before.value != after.value:
            yield f"the thread-local variable {before} moves from +{before.value:#x} to +{after.value:#x}"


def match_thread_locals(
    old: Image, new: Image, matching: Matching, debug: tuple[DebugInfo, DebugInfo]
) -> MatchedVariables:
    """Match the thread-local variables of `new` with those of `old`. New ones live in a block of the new version's own,
    which code must be able to tell from the old version's. Raises ImageError where one of them cannot be read."""
    references = thread_local_references(old), thread_local_references(new)
    named = [
        named_variables(image, it, range(image.block_size), tables.STT_TLS)
        for image, it in zip((old, new), debug, strict=True)
    ]
    before, after = _side(old, references[0], named[0]), _side(new, references[1], called_as_before(*named))
    matched = match_variables(before, after, matching)
    doubts = [*matched.doubts, *_doubts_about_code(new, references, matched.correspondence)]
    for found, names, which in zip(references, named, ("old", "new"), strict=True):
        doubts += _reached_from_others(found, {it.offset: it.size for it in names}, which)
    return MatchedVariables(matched.correspondence, tuple(doubts))


def _side(image: Image, references: ThreadLocalReferences, named: Iterable[NamedVariable]) -> Side:
    block = block_of(image)
    words = {
        at: InitialWord(Kind.OWN_CONSTANT, it.value + data_layout(image).span.start)
        if it.kind is Kind.OWN_VARIABLE  # of those that all threads share
        else it
        for at, it in block.words.items()
    }
    ends = tuple(sorted({block.filled, image.block_size}))
    return Side(
        image,
        "each thread's block",
        references.table,
        {it.name: it for it in named},
        range(image.block_size),
        frozenset(),
        words,
        block.content,
        ends,
    )


def _reached_from_others(references: ThreadLocalReferences, sizes: Mapping[int, int], which: str) -> Iterator[str]:
    """Where code gets from the address of one variable to another: `sizes` are of variables with names, by place."""
    places = sorted({*references.slots.variables.values()})
    for place, at, distance in references.far:
        following = bisect_right(places, at)
        size = sizes.get(at, places[following] - at if following < len(places) else distance + 1)
        if distance >= size > 0:
            yield f"the {which} version's code at {place:#x} gets from the one at +{at:#x} to others"


def _doubts_about_code(
    new: Image, references: tuple[ThreadLocalReferences, ThreadLocalReferences], correspondence: Correspondence
) -> Iterator[str]:
    for found, which in zip(references, ("old", "new"), strict=True):
        if found.unclear:
            yield f"the {which} version's code at {found.unclear[0]:#x} may refer to one in a way that is not known"
    in_code = {it.place: it for it in references[1].accesses}
    for place in sorted(correspondence.elsewhere.keys() - in_code.keys()):
        yield f"the code at {place:#x} refers to the end of one, or to what lies before it"
    for slot, at in _static_slots(new, references[1].slots).items():
        if correspondence.old(at) is None:
            yield f"the one at +{at:#x} is new, and its slot at {slot:#x} has a place for what each thread started with"
    by_site: dict[int, set[bool]] = defaultdict(set)
    for it in references[1].accesses:
        for site in it.sites:
            by_site[site].add(correspondence.led_to(it.place, it.offset) is None)
    for site, kinds in by_site.items():
        if len(kinds) > 1:
            yield f"the code at {site:#x} asks once for a block that would hold old and new ones"


def _static_slots(image: Image, slots: ThreadLocalSlots) -> dict[int, int]:
    """The slots that hold a distance from the thread pointer (initial exec; ELF TLS, 4.3), with the place of the
    image's own variable in its block."""
    table = image.relocations
    fixed = set(table["offset"][table["type"] == image.machine.tls_static_offset].tolist())
    return {slot: at for slot, at in slots.variables.items() if slot in fixed}


def changed_starts(old: Image, new: Image, thread_locals: Correspondence, data: Correspondence) -> Iterator[int]:
    """The places of the new version's thread-local variables that start with another content than in the old version:
    threads to come start with the old one's. `data` is where the variables that all threads share were."""
    before, after = block_of(old), block_of(new)
    for piece in thread_locals.pieces:
        if piece.old is None:
            continue
        moved, size = piece.start - piece.old, piece.end - piece.start
        places = {
            piece.start + it for it in differing_places(before.content, piece.old, after.content, piece.start, size)
        }
        places |= {it for it in after.words if piece.start <= it < piece.end}
        places |= {it + moved for it in before.words if piece.start <= it + moved < piece.end}
        for at in sorted(places):
            was = at - moved
            words = before.words.get(was), after.words.get(at)
            if words != (None, None):
                if words[0] is None or words[1] is None or not _is_same_start(words[0], words[1], data):
                    yield at
            elif not _is_in_word(at, after, new):
                yield at


def _is_in_word(at: int, block: Block, image: Image) -> bool:
    return any(it in block.words for it in range(at - image.machine.word + 1, at + 1))


def _is_same_start(old: InitialWord, new: InitialWord, data: Correspondence) -> bool:
    if old.kind is not new.kind or old.symbol != new.symbol:
        return False
    if new.kind is Kind.OWN_VARIABLE:
        return data.old(new.value) == old.value
    return new.kind is Kind.OWN_CONSTANT or old.value == new.value
