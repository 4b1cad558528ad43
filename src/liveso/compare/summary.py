"""What changes from one version to the other, for a person who decides: functions that came, went, or were edited."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace

from liveso.compare.function_edits import EditReader, Kinds
from liveso.compare.function_labels import FunctionLabel, Labels
from liveso.compare.matching import Matching, match_functions
from liveso.elf import Image, printable
from liveso.errors import ImageError

_PART = ".cold"
"""What gcc appends to the name of a function for the part of it that is hardly ever run, and lies elsewhere."""
_LEAST_REBUILT = 100  # functions
_SHARE_REBUILT = 0.4  # of those that both versions have: updates of libraries by their authors stay far below


@dataclass(frozen=True, slots=True)
class Edit:
    """A function whose code does something else, or the same otherwise. `kinds` is None where that was not read."""

    function: FunctionLabel
    kinds: Kinds | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What changes. `edited` starts with what tells most: exported functions, and those whose edit has a kind.

    `unchanged` counts the functions that only lie elsewhere. `is_rebuilt`: so many functions have other code that the
    version was built by another compiler, or is a different release. `compilers` are what the files name as theirs, if
    that differs. `problem` says why nothing is known, where it is not.
    """

    added: tuple[FunctionLabel, ...] = ()
    gone: tuple[FunctionLabel, ...] = ()
    edited: tuple[Edit, ...] = ()
    unchanged: int = 0
    is_rebuilt: bool = False
    compilers: tuple[str, str] | None = None
    problem: str = ""


def summarise(old: Image, new: Image, *, reads_all: bool = False) -> Summary:
    """What changes from `old` to `new`. Where nearly all functions have other code, they are only read to the end,
    which may take a minute, if `reads_all` says so. Raises nothing: the summary says what could not be found out."""
    if old.machine != new.machine:
        return Summary(problem=f"one is for {old.machine.name}, the other for {new.machine.name}")
    try:
        return _summarise(old, new, reads_all)
    except ImageError as error:
        return Summary(problem=printable(str(error)))
    except Exception as error:  # as in the verdict: a file may be made to harm
        return Summary(problem=printable(f"reading both ended with {type(error).__name__} ({error})"))


def _summarise(old: Image, new: Image, reads_all: bool) -> Summary:
    matching = match_functions(old, new)
    labels = Labels(old, matching.old), Labels(new, matching.new)
    if not (len(labels[0]) and len(labels[1])):
        return Summary(problem="one of them has no unwind entries, by which functions are told apart")
    matching = replace(matching, pairs=tuple(sorted((*matching.pairs, *_likely_pairs(matching, labels)))))
    reader = EditReader(old, new, matching, labels)
    changed = [it for it in matching.pairs if _has_other_shape(matching, *it)]
    is_rebuilt = len(changed) >= max(_LEAST_REBUILT, _SHARE_REBUILT * len(matching.pairs))
    edited = list(_edits(matching, labels[1], reader, reads=reads_all or not is_rebuilt))
    added = _not_in(labels[1], labels[0], {j for _i, j in matching.pairs})
    gone = _not_in(labels[0], labels[1], {i for i, _j in matching.pairs})
    return Summary(
        added=added,
        gone=gone,
        edited=tuple(sorted(edited, key=_telling)),
        unchanged=len(matching.pairs) - len(edited),
        is_rebuilt=is_rebuilt,
        compilers=_compilers(old, new),
    )


def _likely_pairs(matching: Matching, labels: tuple[Labels, Labels]) -> Iterator[tuple[int, int]]:
    """Functions without partners that are likely the same: those of one name but for what gcc appends to it
    (`.isra.0`); those without names that have one shape, in their order; then the only ones without names which the
    same exported functions reach, and so edited beyond recognition."""
    shapes = matching.old.shapes, matching.new.shapes
    left = [set(range(len(it))) - {pair[side] for pair in matching.pairs} for side, it in enumerate(labels)]
    for told in (
        lambda side, index: labels[side].name(index).partition(".")[0],
        lambda side, index: None if labels[side].name(index) else shapes[side][index],
        lambda side, index: None if labels[side].name(index) else labels[side].of(index).reached_by,
    ):
        for i, j in _together(left, told):
            left[0].discard(i)
            left[1].discard(j)
            yield i, j


def _together(left: list[set[int]], told: Callable[[int, int], Hashable]) -> list[tuple[int, int]]:
    """Functions of which the same is told, where as many are left of each version; it says nothing of some."""
    groups: dict[Hashable, tuple[list[int], list[int]]] = {}
    for side, indexes in enumerate(left):
        for index in sorted(indexes):
            groups.setdefault(told(side, index), ([], []))[side].append(index)
    alike = (pair for what, pair in groups.items() if what and len(pair[0]) == len(pair[1]))
    return [pair for one, other in alike for pair in zip(one, other, strict=True)]


def _has_other_shape(matching: Matching, i: int, j: int) -> bool:
    return matching.old.shapes[i] != matching.new.shapes[j]


def _edits(matching: Matching, labels: Labels, reader: EditReader, *, reads: bool) -> Iterator[Edit]:
    known: set[str] = set()
    for i, j in sorted(matching.pairs, key=lambda it: _PART in labels.name(it[1])):  # parts behind their functions
        has_other_shape = _has_other_shape(matching, i, j)
        if not has_other_shape and (reader.refer_to_the_same(i, j) or reader.is_look_alike(i, j)):
            continue
        kinds = reader.read(i, j) if reads else None
        if reads and (kinds is None or (kinds.is_empty and not has_other_shape)):
            continue
        if not reads and not has_other_shape:
            continue
        function = labels.of(j)
        function = replace(function, name=function.name.partition(_PART)[0])
        if not function.name or function.name not in known:
            known.add(function.name)
            yield Edit(function, kinds)


def _not_in(labels: Labels, others: Labels, matched: set[int]) -> tuple[FunctionLabel, ...]:
    """The functions that the other version has not: those without a partner, and what is exported under a new name."""
    found = {labels.name(index) or str(index): labels.of(index) for index in range(len(labels)) if index not in matched}
    for name in labels.exported - others.exported:
        found.setdefault(name, FunctionLabel(name, True, labels.exported_at(name), ()))
    kept = [it for name, it in found.items() if _PART not in name and not (it.is_exported and name in others.exported)]
    return tuple(sorted(kept, key=lambda it: (not it.is_exported, not it.name, it.name, it.address)))


def _telling(it: Edit) -> tuple[bool, bool, int, str, int]:
    kinds = it.kinds or Kinds()
    many = sum(map(bool, (kinds.calls, kinds.constants, kinds.comparisons, kinds.texts)))
    return (kinds.is_empty, not it.function.is_exported, -many, it.function.name, it.function.address)


def _compilers(old: Image, new: Image) -> tuple[str, str] | None:
    """What the sections `.comment` say, which compilers and linkers leave there, each once."""
    one, other = (_comment(image) for image in (old, new))
    return (one, other) if one != other and one and other else None


def _comment(image: Image) -> str:
    section = image.section(".comment")
    content = image.section_bytes(section) if section and section.has_bytes else b""
    texts = {it.decode("utf-8", "replace") for it in content.split(b"\0") if it}
    return printable(", ".join(sorted(texts)))
