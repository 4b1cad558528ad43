"""Members and variables that are kept in another form: negated, in another byte order, hidden by a mask."""

from collections.abc import Iterator

from liveso.code.operations import ENCODES, HIDE, HIDES
from liveso.code.use import How, Use
from liveso.code.values import Source, signed
from liveso.compare.changed_uses import ENOUGH, KINDS, listed, where
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, refuse, rule

_Place = tuple[str, int]
_Form = tuple[str, int]
"""The operation that makes the form of a value, and the constant of one that hides it."""
_PLAIN = ("plain", 0)
"""The form of what is stored as it was given or read. What a function returned may have any form."""
_AS_IT_CAME = (Source.ARGUMENT, Source.MEMORY, *KINDS)


@rule("encoded-member")
def members_keep_their_form(pair: Pair) -> Iterator[Difference]:
    """One function changes the form of a value before it stores it in a member, and another one when it has read it,
    where both did not before, or the other way round. Objects from before hold the plain value."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    written: dict[tuple[_Place, _Form, bool], set[str]] = {}
    read: dict[tuple[_Place, _Form, bool], set[str]] = {}
    for it in functions:
        for found, forms in ((written, _stored), (read, _read)):
            old, new = forms(it.old), forms(it.new)
            for place in old.keys() & new.keys():
                for form in old[place] ^ new[place]:
                    other = old[place] if form in new[place] else new[place]
                    if found is read or _PLAIN in other:
                        found.setdefault((place, form, form in new[place]), set()).add(it.name)
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


def _stored(found: tuple[Use, ...]) -> dict[_Place, set[_Form]]:
    """The forms in which values are stored, by place."""
    forms: dict[_Place, set[_Form]] = {}
    for it in found:
        if it.how is How.STORE and it.spot.kind in KINDS:
            here = forms.setdefault((it.spot.kind, it.spot.offset), set())
            if it.what and it.what[0] in ENCODES:
                here.add((str(it.what[0]), 0))
            elif len(it.what) == 2 and it.what[0] in HIDES and isinstance(it.what[1], int):
                here.add((HIDE, signed(it.what[1], it.spot.width)))
            elif it.constant is not None or (it.what and it.what[0] in _AS_IT_CAME):
                here.add(_PLAIN)
    return forms


def _read(found: tuple[Use, ...]) -> dict[_Place, set[_Form]]:
    """The forms that values have where they are read, by place."""
    forms: dict[_Place, set[_Form]] = {}
    for it in found:
        if it.how is not How.STORE and it.spot.kind in KINDS:
            here = forms.setdefault((it.spot.kind, it.spot.offset), set())
            if it.how is How.ENCODE:
                here.add((str(it.what[0]), 0))
            elif it.how is How.MASK and not it.changes and it.what == (HIDE,) and it.constant is not None:
                here.add((HIDE, it.constant))
    return forms
