"""Processes by what they are started and ended with: which of these run old code, why, and what mends it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from liveso.client.answer import CURRENT, ROLLED_BACK, UPDATED
from liveso.places import Kind, Place, title
from liveso.services.mending import Mend, Way, mend
from liveso.services.standing import OLD_CODE, Standing, standing
from liveso.services.systemd import Unit


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a process is to be started anew: the file whose old code it runs, and what is known of that. `result` is the
    daemon's word for it, empty where no daemon said something."""

    path: str
    why: str
    result: str = ""

    @property
    def word(self) -> str:
        """What is said of the library in a word: the daemon's, where that says that something is left to do."""
        return OLD_CODE if self.result in ("", CURRENT, UPDATED, ROLLED_BACK) else self.result


@dataclass(frozen=True, slots=True)
class Seen:
    """A process that was looked at; `reasons` is empty where it runs what lies on disk."""

    pid: int
    command: str
    user: int
    place: Place
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Need:
    """A place in which processes run old code, and the mildest thing that mends it."""

    place: Place
    processes: tuple[Seen, ...]
    mend: Mend

    @property
    def standing(self) -> Standing:
        return standing({reason.word for it in self.processes for reason in it.reasons}, is_unserved=False)

    def reasons(self) -> dict[Reason, list[int]]:
        """Each reason once, with its processes; what concerns most of them first."""
        found: dict[Reason, list[int]] = {}
        for it in self.processes:
            for reason in it.reasons:
                found.setdefault(reason, []).append(it.pid)
        return dict(sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0].path, pair[0].why)))


_ORDER = (Way.RELOAD, Way.RESTART, Way.CONTAINER, Way.START_AGAIN, Way.LOG_OUT, Way.REEXECUTE, Way.REBOOT, Way.WAIT)


def places_in_need(seen: Iterable[Seen]) -> dict[Place, list[Seen]]:
    """The processes that run old code, by their places."""
    found: dict[Place, list[Seen]] = {}
    for it in seen:
        if it.reasons:
            found.setdefault(it.place, []).append(it)
    return found


def needs(seen: Iterable[Seen], units: Mapping[str, Unit], user: int) -> list[Need]:
    """What is to be done, what is easiest first. `units` is what systemd says of the machine's ones, `user` who
    asks."""
    found = []
    for place, processes in places_in_need(seen).items():
        unit = units.get(place.name) if place.kind is Kind.SERVICE else None
        found.append(Need(place, tuple(processes), mend(place, {it.pid for it in processes}, unit, user)))
    return sorted(found, key=lambda it: (_ORDER.index(it.mend.way), it.place.name, it.place.user or 0))


def titles_by_standing(found: Iterable[Need]) -> dict[Standing, list[str]]:
    titles: dict[Standing, list[str]] = {}
    for it in found:
        titles.setdefault(it.standing, []).append(title(it.place))
    return titles
