"""What `liveso check` prints of the changes between two versions: what a person can read in a minute."""

from collections.abc import Iterator, Sequence

from liveso.cli.screen import Part, Screen
from liveso.compare.function_edits import Exchange, Kinds
from liveso.compare.function_labels import FunctionLabel
from liveso.compare.summary import Edit, Summary
from liveso.text import plural

_EDITS = 10  # lines
_NAMES = 4
_REACHING = 2
_ITEMS = 3  # of each kind
_LONGEST = 48  # characters of a text or name
_MARGIN = 10  # columns that a line has beside its parts


def show_changes(screen: Screen, it: Summary, is_verbose: bool) -> None:
    """Print a summary, in some 15 lines; all of it, if `is_verbose`."""
    if it.problem:
        screen.line(("what changes", "bold"), f" is not known: {it.problem}", indent=2)
        return
    screen.line(("what changes: ", "bold"), _counts(it), indent=2)
    if it.compilers:
        screen.line(f"built by {it.compilers[1]}, and before by {it.compilers[0]}", indent=4, hang=2)
    for what, labels in (("added", it.added), ("gone", it.gone)):
        if labels:
            screen.line((f"{what}: ", "bold"), _labels(labels, is_verbose), indent=4, hang=2)
    if it.is_rebuilt and not is_verbose:
        screen.line(
            "so many are edited that it is another release, or built by another compiler or with other options: "
            "--json lists them",
            indent=4,
            hang=2,
        )
        return
    shown = it.edited if is_verbose else it.edited[:_EDITS]
    for edit in shown:
        screen.line(*_edit(edit, screen.width, is_verbose), indent=4, hang=2)
    if len(it.edited) > len(shown):
        screen.line((f"and {len(it.edited) - len(shown)} more; -v shows all", "dim"), indent=4)


def _counts(it: Summary) -> str:
    counts = [
        f"{plural(len(found), 'function', 'functions')} {what}"
        for what, found in (("added", it.added), ("gone", it.gone), ("edited", it.edited))
        if found
    ]
    same = f"{it.unchanged} the same"
    return ", ".join([*counts, same]) if counts else f"no function, {same}"


def _labels(labels: Sequence[FunctionLabel], is_verbose: bool) -> str:
    """Those with a name by that; the others are counted, with what reaches them."""
    names = [it.name if is_verbose else _short(it.name) for it in labels if it.name]
    nameless = [it for it in labels if not it.name]
    shown = names if is_verbose else names[:_NAMES]
    if len(names) > len(shown):
        shown = [*shown, f"{len(names) - len(shown)} more"]
    if nameless:
        reaching = tuple(dict.fromkeys(name for it in nameless for name in it.reached_by))
        shown = [*shown, f"{len(nameless)} without a name{_reached(reaching, is_verbose)}"]
    return ", ".join(shown)


def _reached(names: Sequence[str], is_verbose: bool) -> str:
    shown = names if is_verbose else [_short(it) for it in names[:_REACHING]]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f", reached by {', '.join(shown)}{more}" if names else ""


def _edit(it: Edit, width: int, is_verbose: bool) -> Iterator[Part]:
    """One edit: as many of its kinds as fit into a line, and one of them at least."""
    label = it.function
    if label.name:
        start = label.name if is_verbose else _short(label.name)
        yield start, "bold"
    else:
        start = f"the function at {label.address:#x}"
        start += _reached(label.reached_by, is_verbose) or ", reached by pointers"
        yield start
    kinds = list(_kinds(it.kinds or Kinds(), is_verbose)) or ["code"]
    shown = 1
    while shown < len(kinds) and (is_verbose or len(start) + len("; ".join(kinds[: shown + 1])) + _MARGIN <= width):
        shown += 1
    yield f": {'; '.join(kinds[:shown])}{'; …' if shown < len(kinds) else ''}"


def _kinds(it: Kinds, is_verbose: bool) -> Iterator[str]:
    gone, added = (
        _items([name if is_verbose else _short(name) for name in side], is_verbose) for side in _sides(it.calls)
    )
    if added:
        yield f"calls {added}"
    if gone:
        yield f"{'and no longer' if added else 'no longer calls'} {gone}"
    texts = Exchange(*(tuple(f'"{it if is_verbose else _short(it)}"' for it in side) for side in _sides(it.texts)))
    for noun, exchange in (("text", texts), ("constant", it.constants), ("comparison", it.comparisons)):
        gone, added = (_items(side, is_verbose) for side in _sides(exchange))
        if gone and added:
            yield f"{noun} {gone} became {added}"
        elif gone or added:
            yield f"{noun} {gone or added} {'gone' if gone else 'added'}"


def _sides(it: Exchange) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return it.gone, it.added


def _items(items: Sequence[str], is_verbose: bool) -> str:
    shown = items if is_verbose else items[:_ITEMS]
    more = f" and {len(items) - len(shown)} more" if len(items) > len(shown) else ""
    return f"{', '.join(shown)}{more}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
