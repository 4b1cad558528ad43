"""What `liveso check` prints of the changes between two versions: what a person can read in a minute."""

from collections.abc import Iterator, Sequence

from liveso.cli.screen import Part, Screen
from liveso.cli.text import plural
from liveso.verdict.function_edits import Exchange, Kinds
from liveso.verdict.function_labels import FunctionLabel
from liveso.verdict.summary import Edit, Summary

_EDITS = 10  # lines
_NAMES = 4
_REACHING = 2
_ITEMS = 3  # of each kind
_LONGEST = 48  # characters of a text


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
        screen.line(*_edit(edit), indent=4, hang=2)
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
    names = [it.name for it in labels if it.name]
    nameless = [it for it in labels if not it.name]
    shown = names if is_verbose else names[:_NAMES]
    if len(names) > len(shown):
        shown = [*shown, f"{len(names) - len(shown)} more"]
    if nameless:
        reaching = list(dict.fromkeys(name for it in nameless for name in it.reached_by))
        shown = [*shown, f"{len(nameless)} without a name{_reached(reaching, len(reaching) if is_verbose else None)}"]
    return ", ".join(shown)


def _reached(names: Sequence[str], most: int | None = None) -> str:
    shown = names[: _REACHING if most is None else most]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f", reached by {', '.join(shown)}{more}" if names else ""


def _edit(it: Edit) -> Iterator[Part]:
    label = it.function
    if label.name:
        yield label.name, "bold"
    else:
        yield f"the function at {label.address:#x}"
        yield _reached(label.reached_by) or ", reached by pointers"
    yield f": {'; '.join(_kinds(it.kinds or Kinds())) or 'code'}"


def _kinds(it: Kinds) -> Iterator[str]:
    if it.calls.added:
        yield f"calls {_items(it.calls.added)}"
    if it.calls.gone:
        yield f"{'and no longer' if it.calls.added else 'no longer calls'} {_items(it.calls.gone)}"
    yield from _exchanged("text", Exchange(_quoted(it.texts.gone), _quoted(it.texts.added)))
    yield from _exchanged("constant", it.constants)
    yield from _exchanged("comparison", it.comparisons)


def _exchanged(noun: str, it: Exchange) -> Iterator[str]:
    if it.gone and it.added:
        yield f"{noun} {_items(it.gone)} became {_items(it.added)}"
    elif it.added:
        yield f"{noun} {_items(it.added)} added"
    elif it.gone:
        yield f"{noun} {_items(it.gone)} gone"


def _items(items: Sequence[str]) -> str:
    more = f" and {len(items) - _ITEMS} more" if len(items) > _ITEMS else ""
    return f"{', '.join(items[:_ITEMS])}{more}"


def _quoted(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(f'"{it if len(it) <= _LONGEST else it[: _LONGEST - 1] + "…"}"' for it in texts)
