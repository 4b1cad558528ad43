"""What a daemon knows by what an operator starts and stops (`places`), for what shows it as it changes. Pure: what the
processes have mapped is not looked at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from liveso.client.answer import CURRENT, PARTLY, ROLLED_BACK, UPDATED, Library, Target, rank
from liveso.places import Place, title
from liveso.services.overview import place_of_target
from liveso.text import plural

_CLEAR = (CURRENT, UPDATED, ROLLED_BACK)
_NEEDS_RESTART = ("refused", "failed", PARTLY)


@dataclass(frozen=True, slots=True)
class Service:
    """The processes that are started and ended together, at one place."""

    place: Place
    targets: tuple[Target, ...]

    @property
    def key(self) -> str:
        """What tells it from all others, also in a later answer of the daemon's."""
        return f"{self.place.kind}:{'' if self.place.user is None else self.place.user}:{self.place.name}"

    @property
    def name(self) -> str:
        """What people call it, as in `status`."""
        return title(self.place)

    @property
    def libraries(self) -> list[Library]:
        return [it for target in self.targets for it in target.libraries]

    @property
    def words(self) -> frozenset[str]:
        """The results of its libraries."""
        return frozenset(it.word for it in self.libraries)

    @property
    def note(self) -> str:
        """Why processes of it are not served; empty where all are."""
        return next((it.note for it in self.targets if it.note), "")

    @property
    def is_clear(self) -> bool:
        """Whether it runs what lies on disk, or what a person has chosen."""
        return not self.note and self.words <= frozenset(_CLEAR)

    @property
    def needs_restart(self) -> bool:
        """Whether nothing but a restart is known to bring what lies on disk into it."""
        return bool(self.words & frozenset(_NEEDS_RESTART)) or _is_unknown(self.words)

    @property
    def rank(self) -> tuple[int, str]:
        """How early it is shown: what asks for attention first."""
        ranks = [word_rank(it) for it in self.words]
        return min([*ranks, word_rank("held back") if self.note else word_rank(CURRENT)]), self.name


def word_rank(word: str) -> int:
    """As `rank`, of words that tell an update of which old code is left from a complete one."""
    return 2 * rank(ROLLED_BACK) - 1 if word == PARTLY else 2 * rank(word)


def _is_unknown(words: frozenset[str]) -> bool:
    """Whether a daemon of a later version says a word that is not known here."""
    return any(it not in (*_CLEAR, *_NEEDS_RESTART, "waiting", "held back") for it in words)


def services(targets: Iterable[Target]) -> list[Service]:
    """The processes by service, those first that ask for attention."""
    found: dict[Place, list[Target]] = {}
    for it in targets:
        found.setdefault(place_of_target(it), []).append(it)
    return sorted((Service(place, tuple(them)) for place, them in found.items()), key=lambda it: it.rank)


def answer_first(known: Sequence[Service]) -> str:
    """The first thing that an operator wants to know, in a sentence or two."""
    if not known:
        return "No process is kept up to date here."
    if len(known) == 1:
        return f"The only service {_of_one(known)}."
    total = plural(len(known), "service", "services")
    said: list[str] = []
    for number, one, many in _counts(known):
        if number:
            of_how_many = str(number) if said else f"{number} of {total}"
            said.append(f"{of_how_many} {one if number == 1 else many}.")
    if said:
        return " ".join(said)
    return f"All {total} run what is on disk{_chosen(known)}."


def _of_one(known: Sequence[Service]) -> str:
    return next((one for number, one, _many in _counts(known) if number), f"runs what is on disk{_chosen(known)}")


def _chosen(known: Sequence[Service]) -> str:
    return " or what a person chose" if any(ROLLED_BACK in it.words for it in known) else ""


def _counts(known: Sequence[Service]) -> list[tuple[int, str, str]]:
    """How many services are not clear, each counted once, with what is said of one and of many."""
    rest = [it for it in known if not it.needs_restart]
    waiting = [it for it in rest if "waiting" in it.words]
    held = [it for it in rest if "held back" in it.words and "waiting" not in it.words]
    unserved = [it for it in rest if it.note and not it.words & {"waiting", "held back"}]
    return [
        (len(known) - len(rest), "needs a restart", "need a restart"),
        (len(waiting), "waits for a person", "wait for a person"),
        (len(held), "is held back", "are held back"),
        (len(unserved), "is not served", "are not served"),
    ]
