"""Which constant tables of pointers (of virtual functions, of methods) are the same objects in two versions.

Such a table keeps its address: objects that were made before hold it, and code compares it. A table is taken for the
same where its name and size say so, or where all that it holds corresponds, and that of no other.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from liveso.code import Shapes, function_names, relative_targets
from liveso.compare.correspondence import Piece
from liveso.compare.known_data import range_of
from liveso.compare.matching import Matching
from liveso.compare.table_borders import without_borders
from liveso.elf import Image, tables
from liveso.elf.data import constant_span, data_layout
from liveso.elf.tables import Table

_LEAST_TEXT, _LONGEST_TEXT = 6, 64  # bytes
_MOST_ALIASES = 8  # names of one table

_Token = tuple[object, ...]
"""What a word of a table is, in terms that both versions share."""


@dataclass(frozen=True)
class _Side:
    """One version: `functions` are numbers that functions share which are certainly the same, by address, `shapes` what
    look-alikes have in common, and `rows` its code's references to the constants (References.table)."""

    image: Image
    functions: dict[int, int]
    shapes: dict[int, int]
    rows: Table

    @cached_property
    def span(self) -> range:
        return constant_span(self.image)

    @cached_property
    def words(self) -> dict[int, tuple[int, int, int]]:
        """Type, symbol and addend of each relocated word of the constants, by address."""
        table = self.image.relocations
        inside = table[(table["offset"] >= self.span.start) & (table["offset"] < self.span.stop)]
        return {offset: (kind, index, addend) for offset, kind, index, addend in inside.tolist()}

    @cached_property
    def _word_places(self) -> list[int]:
        return sorted(self.words)

    @cached_property
    def named(self) -> dict[str, range]:
        """The exported tables, by name and version; none where they are a damaged file's, and all overlap."""
        found = {
            str(it): range(it.value, it.value + it.size)
            for it in self.image.symbols
            if it.is_defined
            and it.type == tables.STT_OBJECT
            and it.size
            and it.value in self.span
            and it.value + it.size <= self.span.stop
        }
        return found if sum(map(len, set(found.values()))) <= _MOST_ALIASES * len(self.span) else {}

    @cached_property
    def unnamed(self) -> list[range]:
        """The tables without a name: from each place that something leads to, up to the next."""
        relocations = self.image.relocations
        pointed = relocations["addend"][relocations["type"] == self.image.machine.relative].tolist()
        named = sorted(self.named.values(), key=lambda it: it.start)
        starts = {it for it in (*self.rows["target"].tolist(), *pointed) if it in self.span}
        starts = {it for it in starts if not _is_inside(named, it)}
        borders = sorted(starts | {it for one in named for it in (one.start, one.stop)} | {self.span.stop})
        return [range(a, self._end(a, b)) for a, b in pairwise(borders) if a in starts]

    def _end(self, start: int, border: int) -> int:
        """The end of what starts at `start`, without the zeros that follow it, which may be padding."""
        inside = range_of(self._word_places, start, border)
        last = inside[-1] + self.image.machine.word if inside else start
        rest = self.image.bytes_at(last, border - last).rstrip(b"\0")
        return last + len(rest)

    def zeros_end(self, start: int) -> int:
        """The end of the zeros that begin at `start`, if there are any, up to the next relocated word."""
        index = bisect_left(self._word_places, start)
        border = self._word_places[index] if index < len(self._word_places) else self.span.stop
        content = self.image.bytes_at(start, border - start)
        return start + len(content) - len(content.lstrip(b"\0"))

    @cached_property
    def pointers(self) -> dict[int, int]:
        """Where each word leads that holds an address by its place, by its own address."""
        table = self.image.relocations[self.image.relocations["type"] == self.image.machine.relative]
        return dict(table[["offset", "addend"]].tolist())

    def token(self, at: int) -> _Token:
        """What the relocated word at `at` holds."""
        kind, index, addend = self.words[at]
        if kind != self.image.machine.relative:
            return kind, str(self.image.symbols[index]), addend
        if addend in self.functions:
            return ("function", self.functions[addend])
        if addend in self.shapes:
            return ("look-alike", self.shapes[addend])
        if self.image.is_code(addend):
            return ("function", "unmatched", id(self), addend)
        if addend in self.span or addend in data_layout(self.image).span:
            return ("own",)
        return ("text", self.image.bytes_at(addend, _LONGEST_TEXT).partition(b"\0")[0])

    def places(self, it: range) -> list[int]:
        """The relocated words of a table, in bytes from its start."""
        return [at - it.start for at in range_of(self._word_places, it.start, it.stop)]

    def plain(self, it: range) -> bytes:
        """What a table holds besides."""
        content = bytearray(self.image.bytes_at(it.start, len(it)))
        for at in self.places(it):
            content[at : at + self.image.machine.word] = bytes(self.image.machine.word)
        return bytes(content)

    def signature(self, it: range) -> tuple[object, ...]:
        return self.plain(it), tuple((at, self.token(it.start + at)) for at in self.places(it))


def match_tables(
    old: Image,
    new: Image,
    matching: Matching,
    references: tuple[Table, Table],
    certain: Mapping[int, int],
    compared: Mapping[int, int],
) -> tuple[Piece, ...]:
    """The tables of `new` that are tables of `old`, by the addresses of their bytes. `references` are those of the old
    and the new version's code to their constants, `certain` functions that are the same, by their addresses, and
    `compared` constants that matched functions compare pointers with, by the new address the old one."""
    starts = [it.functions["start"].tolist() for it in (matching.old, matching.new)]
    named = frozenset(function_names(old).values())
    pairs = dict(certain) | {
        starts[0][i]: starts[1][j]
        for i, j in matching.pairs
        if starts[0][i] in named or matching.ambiguous.isdisjoint((matching.old.shapes[i], matching.new.shapes[j]))
    }
    numbers = dict(enumerate(pairs.items()))
    sides = (
        _Side(old, {it: i for i, (it, _) in numbers.items()}, _look_alikes(matching.old, matching), references[0]),
        _Side(new, {it: i for i, (_, it) in numbers.items()}, _look_alikes_before(matching), references[1]),
    )
    pairs_of_tables = (*_by_code(*sides, compared), *_by_name(*sides), *_by_content(*sides))
    found = {after.start: (before, after) for before, after in pairs_of_tables}
    found |= _beside(*sides, found)
    inner = sorted(relative_targets(new))  # a distance is only relinked that leads to the beginning of a table
    pieces = [
        Piece(after.start, max(after.stop, after.start + 1), before.start)  # an end keeps its address, too
        for before, after in found.values()
        if not range_of(inner, after.start + 1, after.stop)
    ]
    return tuple(without_borders(sides[1], matching, sorted(pieces, key=lambda it: it.start)))


def _look_alikes(it: Shapes, matching: Matching) -> dict[int, int]:
    starts: list[int] = it.functions["start"].tolist()
    return {start: shape for start, shape in zip(starts, it.shapes, strict=True) if shape in matching.ambiguous}


def _look_alikes_before(matching: Matching) -> dict[int, int]:
    """The look-alikes of the new version with the shapes of the old one: where all of one shape were edited alike, in
    the number of a line of the source for example, they have another one now."""
    pairs = Counter((matching.old.shapes[i], matching.new.shapes[j]) for i, j in matching.pairs)
    counts = Counter(matching.old.shapes), Counter(matching.new.shapes)
    before = {
        after: shape
        for (shape, after), count in pairs.items()
        if count == counts[0][shape] == counts[1][after] and not (counts[0][after] or counts[1][shape])
    }
    return {start: before.get(it, it) for start, it in _look_alikes(matching.new, matching).items()}


def _by_name(old: _Side, new: _Side) -> Iterator[tuple[range, range]]:
    for symbol in old.image.defined.values():
        successor = new.image.successor_of(symbol)
        if successor is None or str(symbol) not in old.named or str(successor) not in new.named:
            continue
        before, after = old.named[str(symbol)], new.named[str(successor)]
        if len(before) != len(after) or old.plain(before) != new.plain(after):
            continue
        pairs = [
            (old.words.get(before.start + at), new.words.get(after.start + at))
            for at in sorted({*old.places(before), *new.places(after)})
        ]
        if pairs and all(one and other and _is_same_kind(old, one, new, other) for one, other in pairs):
            yield before, after


def _is_same_kind(old: _Side, one: tuple[int, int, int], new: _Side, other: tuple[int, int, int]) -> bool:
    """Whether two words are relocated in the same way: both by place, or by the same symbol."""
    if one[0] != other[0]:
        return False
    return one[0] == old.image.machine.relative or (
        one[2] == other[2] and str(old.image.symbols[one[1]]) == str(new.image.symbols[other[1]])
    )


def _by_content(old: _Side, new: _Side) -> Iterator[tuple[range, range]]:
    signatures = [{it: side.signature(it) for it in side.unnamed if side.places(it)} for side in (old, new)]
    counts = [Counter(it.values()) for it in signatures]
    by_signature = {signature: it for it, signature in signatures[0].items()}
    for after, signature in signatures[1].items():
        if counts[0][signature] == counts[1][signature] == 1 and _is_telling(signature):
            yield by_signature[signature], after


def _by_code(old: _Side, new: _Side, compared: Mapping[int, int]) -> Iterator[tuple[range, range]]:
    """Tables that code tells: what their words hold may be others, for they lead to the version that runs."""
    befores, afters = ({it.start: it for it in side.unnamed} for side in (old, new))
    for after, before in compared.items():
        if before not in befores or after not in afters:
            continue
        one, other = befores[before], afters[after]
        if old.places(one) and _is_alike(old, one, new, other):
            yield one, other


def _beside(old: _Side, new: _Side, known: Mapping[int, tuple[range, range]]) -> dict[int, tuple[range, range]]:
    """Tables that look like others, and addresses at which nothing begins, which are the ends of tables: what lies
    beside a table that is known, with at most zeros between, in both versions, and holds the same. Between two that
    are known, what the words hold may be others, as in `_by_code`."""
    befores, tables_now = {it.start: it for it in old.unnamed}, new.unnamed
    found = {after.start: before.start - after.start for before, after in known.values()}
    taken = {before.start for before, _after in known.values()}
    fresh: dict[int, tuple[range, range]] = {}
    for step in (1, -1):
        for index in range(len(tables_now))[::step]:
            it = tables_now[index]
            pairs = [(tables_now[at], tables_now[at + 1]) for at in (index - 1, index) if 0 <= at < len(tables_now) - 1]
            distances = [
                found[one.start]
                for first, second in pairs
                for one in (first, second)
                if one is not it and one.start in found and _touches(old, new, first, second, found[one.start])
            ]
            before = befores.get(it.start + distances[0]) if distances and it.start not in found else None
            if before is None or before.start in taken or len(set(distances)) > 1:
                continue
            is_same = old.signature(before) == new.signature(it)
            if is_same or (len(distances) == 2 and _is_alike(old, before, new, it)):
                fresh[it.start] = (before, it)
                found[it.start] = distances[0]
                taken.add(before.start)
    return fresh


def _touches(old: _Side, new: _Side, first: range, second: range, distance: int) -> bool:
    """Whether there are at most zeros between two tables of the new version, and as far from them in the old one."""
    return new.zeros_end(first.stop) >= second.start and old.zeros_end(first.stop + distance) >= second.start + distance


def _is_alike(old: _Side, before: range, new: _Side, after: range) -> bool:
    """Whether two tables have words at the same places, and the same besides."""
    words = old.places(before)
    return (
        len(before) == len(after)
        and words == new.places(after)
        and old.plain(before) == new.plain(after)
        and all(_is_same_kind(old, old.words[before.start + at], new, new.words[after.start + at]) for at in words)
    )


def _is_telling(signature: tuple[object, ...]) -> bool:
    """Whether a table holds a function or a text that is not found just anywhere."""
    words = signature[1]
    return isinstance(words, tuple) and any(
        token[0] == "function" or (token[0] == "text" and len(token[1]) >= _LEAST_TEXT) for _at, token in words
    )


def _is_inside(named: list[range], at: int) -> bool:
    index = bisect_right(named, at, key=lambda it: it.start) - 1
    return index >= 0 and at in named[index]
