"""Members and elements that are kept in an order, which is turned round."""

from collections.abc import Iterator

from liveso.code.form import Form
from liveso.code.operations import COMPARES, condition, parts, without_order
from liveso.compare.changed_uses import ENOUGH, ChangedFunction, listed, verb
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, refuse, rule

_KEPT = ("object", "element", "data", "tls")


@rule("turned-order")
def orders_keep_their_direction(pair: Pair) -> Iterator[Difference]:
    """Functions that do the same as before take what they read from memory for larger where they took it for smaller:
    a list was sorted from the smallest on, or the smallest was at the top of a heap. What the process holds is in the
    old order, in which new code does not find it. Two functions must agree, and differ in nothing else: one that was
    wrong alone is put right in this way, too.

    Of 190 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        functions = pair.changed_uses.functions
    except ImageError:
        return  # code-comparison says it
    names = sorted(it.name for it in functions if _is_turned(it))
    if len(names) >= ENOUGH:
        yield refuse(
            f"{listed(names)} {verb(names, 'take')} what they read for larger where it was taken for smaller, or the "
            "other way round, and do the same besides: what is kept in an order is in the other one from before",
            where=tuple(names),
        )


def _is_turned(it: ChangedFunction) -> bool:
    """Whether a function that reads members or elements differs only in the direction of comparisons: in what depends
    on them, or in which of the two numbers comes first, and not in both, which may be the same again."""
    old, new = it.codes
    if len(old.forms) != len(new.forms) or not any(use.spot.kind in _KEPT for use in it.old):
        return False
    kinds = set()
    for index, (one, other) in enumerate(zip(old.forms, new.forms, strict=True)):
        if one.outline == other.outline and one.immediate == other.immediate:
            continue
        if one.outline != other.outline and without_order(one.outline) == without_order(other.outline):
            kinds.add("condition")
        elif _is_exchanged(one, other) and condition(old, index) not in ("", "e"):
            kinds.add("operands")
        else:
            return False
    return len(kinds) == 1


def _is_exchanged(one: Form, other: Form) -> bool:
    """Whether two instructions compare the same with each other, the other way round."""
    (name, operands), (other_name, others) = parts(one.outline), parts(other.outline)
    return name == other_name and name in COMPARES and len(operands) == 2 and operands == others[::-1]
