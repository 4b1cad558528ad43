"""What `liveso check --plan` prints: what an update would open, relink and write."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from liveso.cli.screen import Screen
from liveso.code import function_names
from liveso.elf import Image, tables
from liveso.elf.tables import Table
from liveso.plan import LoadedVersion
from liveso.plan.rehearsal import Rehearsal
from liveso.text import plural


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with the images of both versions, or the reason why there is none."""

    plan: Rehearsal | None
    reason: str
    images: tuple[Image, Image]


@dataclass(frozen=True, slots=True)
class _Change:
    """One place: what is there, and what it holds before and after. An address `leads` somewhere."""

    what: str
    place: int
    before: int
    after: int
    leads: bool


def show_plan(screen: Screen, it: Planned, is_verbose: bool) -> None:
    """Print a plan, in some ten lines; each place, if `is_verbose`."""
    if it.plan is None:
        screen.line(("the plan: ", "bold"), f"none, {it.reason}", indent=2)
        return
    plan, images = it.plan, it.images
    old, new = plan.old, plan.new
    screen.line(("the plan", "bold"), ", in a process that has nothing else and has set nothing:", indent=2)
    screen.line(f"open the new version, at {new.base:#x}; the old one is at {old.base:#x}", indent=4, hang=2)
    halves, words = len(plan.relinking.halves), len(plan.relinking.words)
    screen.line(
        f"relink it: {plural(halves, 'reference of its code', 'references of its code')} and "
        f"{plural(words, 'word', 'words')} lead to what the old version has",
        indent=4,
        hang=2,
    )
    screen.line(f"write, while all threads stand still, {_size(plan)}:", indent=4, hang=2)
    screen.line(
        plural(len(plan.plan.code), "jump at the home of a function", "jumps at the homes of functions"), indent=6
    )
    for what, found in plan.plan.words.items():
        if len(found):
            screen.line(f"{len(found)} {what}", indent=6)
    if plan.unled:
        shown = plan.unled if is_verbose else plan.unled[:3]
        more = f" and {len(plan.unled) - len(shown)} more" if len(plan.unled) > len(shown) else ""
        screen.line(f"not led on: {', '.join(shown)}{more}, to which slots keep leading", indent=4, hang=2)
    screen.line(f"remember it in the process: {plan.record_size} bytes", indent=4)
    screen.line("in a process, the slots of other objects that lead to the library follow", indent=4, hang=2)
    if is_verbose:
        names = _Names(plan, images)
        for change in _changes(plan, images):
            values = change.before, change.after
            before, after = (names.at(value) if change.leads else f"{value:#x}" for value in values)
            screen.line((f"{change.what}: {names.at(change.place)}: {before} → {after}", "dim"), indent=6)


def plan_as_json(it: Planned) -> dict[str, object]:
    if it.plan is None:
        return {"reason": it.reason}
    plan, names = it.plan, _Names(it.plan, it.images)
    return {
        "old_base": plan.old.base,
        "new_base": plan.new.base,
        "record_size": plan.record_size,
        "not_led_on": list(plan.unled),
        "changes": [
            {"what": one.what, "place": names.at(one.place), "before": one.before, "after": one.after}
            for one in _changes(plan, it.images)
        ],
    }


def _size(plan: Rehearsal) -> str:
    size = sum(len(it.content) for it in plan.plan.pieces)
    return f"{plural(size, 'byte', 'bytes')} in {plural(len(plan.plan.pieces), 'piece', 'pieces')}"


def _changes(plan: Rehearsal, images: tuple[Image, Image]) -> Iterator[_Change]:
    yield from _rows("relinked reference", plan.relinking.halves, leads=False)
    yield from _rows("relinked word", plan.relinking.words, leads=True)
    size = images[0].machine.jump_size
    for place, content in plan.plan.code.tolist():
        before = int.from_bytes(images[0].bytes_at(place - plan.old.base, size), "little")
        yield _Change("jump", place, before, int.from_bytes(bytes(content)[:size], "little"), leads=False)
    for what, found in plan.plan.words.items():
        yield from _rows(what, found, leads=True)


def _rows(what: str, rows: Table, *, leads: bool) -> Iterator[_Change]:
    for address, expected, value in rows.tolist():
        yield _Change(what, address, expected, value, leads)


class _Names:
    """What addresses are called: by the version, and by the function, or else the section, that lies there."""

    def __init__(self, plan: Rehearsal, images: tuple[Image, Image]) -> None:
        self._parts = [(it, image, _starts(image)) for it, image in zip((plan.old, plan.new), images, strict=True)]

    def at(self, address: int) -> str:
        for what, (loaded, image, starts) in zip(("old", "new"), self._parts, strict=True):
            if _holds(loaded, address):
                return f"{what}+{address - loaded.base:#x}{_called(image, starts, address - loaded.base)}"
        return f"{address:#x}"


def _holds(it: LoadedVersion, address: int) -> bool:
    return it.base <= address <= it.base + it.size


def _starts(image: Image) -> list[tuple[int, str]]:
    found = {address: name for name, address in function_names(image).items()}
    found |= {it.value: it.name for it in image.symbols if it.is_defined and it.type == tables.STT_OBJECT}
    return sorted(found.items())


def _called(image: Image, starts: list[tuple[int, str]], at: int) -> str:
    section = next((it for it in image.sections if it.is_allocated and it.address <= at < it.end), None)
    if section is None:
        return ""
    index = bisect_right(starts, (at, "\U0010ffff")) - 1
    if index >= 0 and starts[index][0] == at:
        return f" ({starts[index][1]})"
    return f" ({section.name})"
