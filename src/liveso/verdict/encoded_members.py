"""Members and variables that are kept in another form: negated, in another byte order or unit, hidden by a mask, with
something added."""

from collections.abc import Iterator

from liveso.code.operations import ADDS, ENCODES, HIDE, HIDES, LEFT, RIGHT, summand
from liveso.code.use import How, Use
from liveso.code.values import Source, signed
from liveso.compare.changed_uses import ENOUGH, KINDS, listed, where
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, refuse, rule

_Place = tuple[str, int]
_Form = tuple[str, int]
"""The operation that makes the form of a value, and its constant."""
_Changes = dict[tuple[_Place, _Form, bool], set[str]]
"""The functions that do something with a form at a place, by whether they did not before, or do not any more."""
_PLAIN = ("plain", 0)
"""The form of what is stored as it was given or read. What a function returned may have any form."""
_UNCHANGED = ("add", 0)
_LENGTHS = frozenset({"strlen", "strnlen", "wcslen"})
"""Of other functions' results nobody knows which form they have."""
_AS_IT_CAME = (Source.ARGUMENT, Source.MEMORY, *KINDS)


@rule("encoded-member")
def members_keep_their_form(pair: Pair) -> Iterator[Difference]:
    """One function changes the form of a value before it stores it in a member, and another one when it has read it,
    where both did not before, or the other way round. Objects from before hold the plain value."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    written: _Changes = {}
    read: _Changes = {}
    for it in functions:
        for found, forms in ((written, _stored), (read, _read)):
            old, new = forms(it.old), forms(it.new)
            for place in old.keys() & new.keys():
                for form in old[place] ^ new[place]:
                    other = old[place] if form in new[place] else new[place]
                    if found is read or _PLAIN in other:
                        found.setdefault((place, form, form in new[place]), set()).add(it.name)
    _meet_at_headers(written, read)
    for change in sorted(it for it in written.keys() & read.keys() if it[1] != _PLAIN):
        (kind, offset), (operation, _constant), is_new = change
        names = sorted(written[change] | read[change])
        if len(names) < ENOUGH:
            continue
        does = "do" if is_new else "do not any more do"
        yield refuse(
            f"{listed(names)} {does} the operation {operation} on what they store or read at {where(kind, offset)}: "
            "what is there from before the update has another form",
            where=tuple(names),
        )


def _meet_at_headers(written: _Changes, read: _Changes) -> None:
    """What lies before a pointer that is handed out is written from the start of the memory, and read from there."""
    for (kind, offset), form, is_new in list(read):
        if kind == "object" and offset < 0:
            for (other_kind, start), other_form, is_other_new in list(written):
                if other_kind == kind and start >= 0 and (other_form, is_other_new) == (form, is_new):
                    names = written[(other_kind, start), other_form, is_other_new]
                    written.setdefault(((kind, offset), form, is_new), set()).update(names)


def _stored(found: tuple[Use, ...]) -> dict[_Place, set[_Form]]:
    """The forms in which values are stored, by place."""
    forms: dict[_Place, set[_Form]] = {}
    for it in found:
        if it.how is How.STORE and it.spot.kind in KINDS:
            here = forms.setdefault((it.spot.kind, it.spot.offset), set())
            is_length = len(it.what) > 2 and it.what[0] == Source.RESULT and it.what[2] in _LENGTHS
            if it.constant is not None or is_length or (it.what and it.what[0] in _AS_IT_CAME):
                here.add(_PLAIN)
            elif len(it.what) == 2 and isinstance(it.what[1], int):
                form = _form(str(it.what[0]), signed(it.what[1], it.spot.width))
                here.update(() if form is None else (_PLAIN if form == _UNCHANGED else form,))
    return forms


def _read(found: tuple[Use, ...]) -> dict[_Place, set[_Form]]:
    """The forms that values have where they are read, by place: those that the operations undo."""
    forms: dict[_Place, set[_Form]] = {}
    for it in found:
        if it.how is How.STORE or it.spot.kind not in KINDS:
            continue
        here = forms.setdefault((it.spot.kind, it.spot.offset), set())
        if it.changes:
            continue
        form = None
        if it.how is How.ADD and it.constant is not None:
            form = _form("sub", it.constant)
        elif it.how in (How.ENCODE, How.SHIFT) or it.what == (HIDE,):
            form = _form(str(it.what[0]), it.constant or 0)
            if it.how is How.SHIFT and form is not None:
                form = form[0], -form[1]
        here.update(() if form is None else (form,))
    return forms


def _form(operation: str, constant: int) -> _Form | None:
    """What an operation with a constant makes of a value, in terms that its opposites share."""
    if operation in ENCODES:
        return operation, 0
    if operation in HIDES:
        return HIDE, constant
    if operation in LEFT | RIGHT:
        return "shift", constant if operation in LEFT else -constant
    return ("add", summand(operation, constant)) if operation in ADDS else None
