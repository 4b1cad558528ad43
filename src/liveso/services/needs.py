"""Processes by what they are started and ended with: which of these run old code, why, and what mends it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from liveso.places import Kind, Place
from liveso.services.mending import Mend, Way, mend
from liveso.services.systemd import Unit
from liveso.text import plural


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a process is to be started anew: the file whose old code it runs, and what is known of that. `result` is the
    daemon's word for it, empty where no daemon said something."""

    path: str
    why: str
    result: str = ""


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

    def reasons(self) -> dict[Reason, list[int]]:
        """Each reason once, with its processes; what concerns most of them first."""
        found: dict[Reason, list[int]] = {}
        for it in self.processes:
            for reason in it.reasons:
                found.setdefault(reason, []).append(it.pid)
        return dict(sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0].path, pair[0].why)))


_MOST_NAMED = 10
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


def headline(in_need: Sequence[str], all_places: int) -> str:
    """The answer in one sentence, by the titles of what is in need."""
    if not in_need:
        return "1 service runs what is on disk" if all_places == 1 else f"all {all_places} services run what is on disk"
    verb = "needs" if len(in_need) == 1 else "need"
    names = ", ".join(in_need[:_MOST_NAMED]) + (" …" if len(in_need) > _MOST_NAMED else "")
    return f"{len(in_need)} of {plural(all_places, 'service', 'services')} {verb} a restart: {names}"
