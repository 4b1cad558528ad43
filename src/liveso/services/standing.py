"""How services stand: one judgement, one order and one answer for all that show them. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum

from liveso.client.answer import CURRENT, PARTLY, ROLLED_BACK, UPDATED, rank
from liveso.text import plural

OLD_CODE = "old code"
"""The word for code of a file that is replaced on disk, where no daemon has one for it."""
_WAITING, _HELD_BACK = "waiting", "held back"
_MOST_NAMED = 10


class Standing(StrEnum):
    """What concerns an operator most comes first."""

    RESTART = "needs a restart"
    """Nothing but a restart is known to bring what lies on disk into it; so also where the word is not known here."""
    WAITING = "waits for a person"
    HELD_BACK = "is held back"
    UNSERVED = "is not served"
    CHOSEN = "runs what a person chose"
    CLEAR = "runs what is on disk"

    @property
    def is_clear(self) -> bool:
        return self in (Standing.CHOSEN, Standing.CLEAR)


_OF_MANY = {
    Standing.RESTART: "need a restart",
    Standing.WAITING: "wait for a person",
    Standing.HELD_BACK: "are held back",
    Standing.UNSERVED: "are not served",
}


def standing(words: Collection[str], is_unserved: bool) -> Standing:
    """By the words for a service's libraries (`Library.word`), and whether some of its processes are not served."""
    unfinished = set(words) - {CURRENT, UPDATED, ROLLED_BACK}
    if unfinished - {_WAITING, _HELD_BACK}:
        return Standing.RESTART
    if unfinished:
        return Standing.WAITING if _WAITING in unfinished else Standing.HELD_BACK
    if is_unserved:
        return Standing.UNSERVED
    return Standing.CHOSEN if ROLLED_BACK in words else Standing.CLEAR


def word_rank(word: str) -> int:
    """As `rank`, of words that tell an update of which old code is left from a complete one."""
    return 2 * rank(ROLLED_BACK) - 1 if word == PARTLY else 2 * rank(word)


def attention(words: Collection[str], is_unserved: bool) -> int:
    """How early a service is shown: by the word that asks most for attention."""
    return min([*map(word_rank, words), word_rank(_HELD_BACK if is_unserved else CURRENT)])


def sentence(all_of_them: Sequence[Standing]) -> str:
    """The first thing that an operator wants to know, in a sentence or two."""
    if not all_of_them:
        return "No process is kept up to date here."
    counts = Counter(all_of_them)
    said = list(_clauses(counts, "The only service" if len(all_of_them) == 1 else ""))
    text = ". ".join(said or [_all_clear(len(all_of_them), bool(counts[Standing.CHOSEN]), "The only service")])
    return f"{text[0].upper()}{text[1:]}."


def headline(named: Mapping[Standing, Sequence[str]], total: int, is_chosen: bool = False) -> str:
    """The same in a line, with the names of those of `total` services that are not clear; `is_chosen` says whether one
    of the others runs what a person chose."""
    counts = Counter({it: len(names) for it, names in named.items()})
    counts[Standing.CLEAR] = total - counts.total()
    return "; ".join(_clauses(counts, "", named)) or _all_clear(total, is_chosen, "1 service")


def _clauses(
    counts: Counter[Standing], subject: str, named: Mapping[Standing, Sequence[str]] | None = None
) -> Iterator[str]:
    """How many services are not clear, each counted once; the first one says of how many, if not `subject` does."""
    subject = subject or f"{{}} of {plural(counts.total(), 'service', 'services')}"
    for it, of_many in _OF_MANY.items():
        if count := counts[it]:
            names = [*named[it][:_MOST_NAMED]] if named else []
            listed = f": {', '.join(names)}{' …' if count > len(names) else ''}" if names else ""
            yield f"{subject.format(count)} {it if count == 1 else of_many}{listed}"
            subject = "{}"


def _all_clear(total: int, is_chosen: bool, the_only_one: str) -> str:
    chosen = " or what a person chose" if is_chosen else ""
    return (
        f"{the_only_one} {Standing.CLEAR}{chosen}"
        if total == 1
        else f"all {total} services run what is on disk{chosen}"
    )
