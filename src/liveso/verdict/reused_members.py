"""Members that gave their place to another one of the same size, as a stripped version shows it."""

from collections.abc import Iterator

from liveso.code.use import How, Use
from liveso.compare.changed_uses import ENOUGH, listed, offsets_of
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, refuse, rule

_Users = dict[int, dict[str, list[Use]]]
"""What functions do with a member, by its offset and their names."""


@rule("reused-member")
def members_keep_their_users(pair: Pair) -> Iterator[Difference]:
    """None of the functions that used a member does so any more, and others do that did not: what lies there is another
    member. Two on each side must store there and read, and no function may go on with it.

    Of 180 of Debian's updates that were accepted without this rule it refuses none."""
    try:
        uses = pair.changed_uses
        functions = uses.functions
    except ImageError:
        return  # code-comparison says it
    gone: _Users = {}
    come: _Users = {}
    kept: set[int] = set()
    for it in functions:
        old, new = offsets_of(it.old), offsets_of(it.new)
        kept |= old & new
        for users, found, offsets in ((gone, it.old, old - new), (come, it.new, new - old)):
            for offset in offsets:
                users.setdefault(offset, {})[it.name] = [use for use in found if use.spot.offset == offset]
    candidates = [it for it in gone.keys() & come.keys() if it not in kept and _is_a_member(gone[it], come[it])]
    if not candidates:
        return
    elsewhere = {offset for found in uses.unchanged() for offset in offsets_of(found)}
    for offset in sorted(set(candidates) - elsewhere):
        before, after = sorted(gone[offset]), sorted(come[offset])
        yield refuse(
            f"the member at {offset:+#x} of an object, which {listed(before)} used, is used by {listed(after)} "
            "instead: what objects from before hold there would be taken for something else",
            where=(*before, *after),
        )


def _is_a_member(gone: dict[str, list[Use]], come: dict[str, list[Use]]) -> bool:
    """Whether enough functions on both sides store there and read, in one width."""
    for users in (gone, come):
        found = [it for uses in users.values() for it in uses]
        is_read = any(it.how is not How.STORE for it in found)
        if len(users) < ENOUGH or not is_read or not any(it.changes for it in found):
            return False
    widths = {it.spot.width for users in (gone, come) for uses in users.values() for it in uses if it.changes}
    return len(widths) == 1
