"""Constants that code knows by their address: each must have the address that it had, as long as it is the same.

Which is which, the functions say that refer to them: matched ones do so in the same places.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from liveso.code import ComparedConstant, Shapes, compared_constants, constant_end
from liveso.compare.correspondence import Piece
from liveso.compare.matching import Matching
from liveso.compare.texts import is_text
from liveso.elf import Image, Section, tables
from liveso.elf.sets import among, distinct

_Compared = tuple[ComparedConstant, ...]


@dataclass(frozen=True, slots=True)
class CompanionConstants:
    """`pieces` are the compared constants of the new version that are constants of the old one, by the addresses of
    their first bytes; `unclear` the comparisons with those that have some counterpart, but none that is the same for
    certain."""

    pieces: tuple[Piece, ...]
    unclear: tuple[ComparedConstant, ...]


def partners_of_compared(old: Image, new: Image, matching: Matching) -> dict[int, set[int]]:
    """What the old version's functions refer to where the new one's refer to a constant, by that: for constants that
    the one or the other compares pointers with. Raises ImageError as `functions` does."""
    return _partners(matching, compared_constants(old), compared_constants(new))


def certain_partners(new: Image, partners: Mapping[int, set[int]]) -> dict[int, int]:
    """Those of which there is one, and which are no ends of arrays."""
    ends = {it.address for it in compared_constants(new) if it.may_be_end}
    return {after: min(before) for after, before in partners.items() if len(before) == 1 and after not in ends}


def match_constants(
    old: Image, new: Image, matching: Matching, partners: Mapping[int, set[int]], known: Iterable[Piece]
) -> CompanionConstants:
    """Match what the code of either version compares pointers with, besides what is `known`; `partners` as
    `partners_of_compared` has them. Raises ImageError as `functions` does."""
    ranges = sorted((it.start, it.end) for it in known)
    certain = certain_partners(new, partners)
    pieces: list[Piece] = []
    unclear: list[ComparedConstant] = []
    for after, before in sorted(partners.items()):
        index = bisect_right(ranges, after, key=lambda it: it[0]) - 1
        if index >= 0 and after < ranges[index][1]:
            continue
        if after in certain and _content(old, matching.old, certain[after]) == _content(new, matching.new, after):
            pieces.append(Piece(after, after + 1, certain[after]))
        elif before:
            unclear += [it for it in compared_constants(new) if it.address == after and not it.may_be_end]
    return CompanionConstants(tuple(pieces), tuple(unclear))


def named_constants(old: Image, new: Image) -> Iterator[Piece]:
    """The exported constants, without a relocated word, that have the same content in both versions."""
    taken = 0
    pairs = ((new.successor_of(it), it) for it in old.defined.values())
    for symbol, before in sorted(((it, one) for it, one in pairs if it), key=lambda it: it[0].value):
        if not symbol.type == before.type == tables.STT_OBJECT or symbol.size != before.size:
            continue
        end = symbol.value + symbol.size
        sections = _section(old, before.value), _section(new, symbol.value)
        if not (
            taken <= symbol.value < end and _holds(sections[1], end) and _holds(sections[0], before.value + symbol.size)
        ):
            continue
        if new.bytes_at(symbol.value, symbol.size) == old.bytes_at(before.value, symbol.size):
            yield Piece(symbol.value, end, before.value)
            taken = end


def _holds(section: Section | None, end: int) -> bool:
    return section is not None and not section.is_writable and end <= section.end


def _section(image: Image, at: int) -> Section | None:
    """The section of the file, with something else than code, that an address lies in."""
    found = (it for it in image.sections if it.is_allocated and it.has_bytes and not it.is_code)
    return next((it for it in found if it.address <= at < it.end), None)


def _partners(matching: Matching, old: _Compared, new: _Compared) -> dict[int, set[int]]:
    """What the old version's functions refer to where the new one's refer to a constant, by that: for constants that
    the one or the other compares. Functions of one shape refer to theirs in the same places; of others, those that
    compare as many constants do so in the same order."""
    found: dict[int, set[int]] = defaultdict(set)
    addresses = [{it.address for it in side} for side in (old, new)]
    forward, backward = dict(matching.pairs), {j: i for i, j in matching.pairs}
    indexes = {(i, forward[i]) for i in _referring(matching.old, addresses[0]) if i in forward}
    indexes |= {(backward[j], j) for j in _referring(matching.new, addresses[1]) if j in backward}
    for i, j in sorted(indexes):
        if matching.old.shapes[i] == matching.new.shapes[j]:
            one, other = (it.fields_of(at)["target"].tolist() for it, at in ((matching.old, i), (matching.new, j)))
        else:
            starts = int(matching.old.functions["start"][i]), int(matching.new.functions["start"][j])
            one, other = (
                [it.address for it in side if it.inside == start]
                for side, start in zip((old, new), starts, strict=True)
            )
        if len(one) == len(other):
            for before, after in zip(one, other, strict=True):
                if before in addresses[0] or after in addresses[1]:
                    found[after].add(before)
    return found


def _referring(side: Shapes, addresses: set[int]) -> list[int]:
    """The functions that have one of some addresses in a field, by their indexes."""
    places = side.fields["place"][among(side.fields["target"], np.array(sorted(addresses), "<i8"))]
    indexes = np.searchsorted(side.functions["start"], places, side="right").astype("<i8") - 1
    return [it for it in distinct(indexes).tolist() if it >= 0]


def _content(image: Image, side: Shapes, at: int) -> bytes:
    """What a constant holds, without padding: up to the next address that anything leads to. What code reads right
    behind a text is another constant."""
    section = _section(image, at)
    if section is None:
        return b""
    end = constant_end(image, at, section)
    whole = image.bytes_at(at, end - at)
    read = side.fields["target"]
    for border in distinct(read[(read > at) & (read < end)]).tolist():
        if is_text(whole[: border - at]):
            end = border
            break
    return whole[: end - at].rstrip(b"\0")
