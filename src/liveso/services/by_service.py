"""What a daemon knows by what an operator starts and stops (`places`), for what shows it as it changes. Pure: what the
processes have mapped is not looked at."""

from collections.abc import Iterable
from dataclasses import dataclass

from liveso.client.answer import Library, Target
from liveso.places import Place, place_of, title
from liveso.services.standing import Standing, attention, standing

_UNKNOWN_USER = -1


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
    def standing(self) -> Standing:
        return standing(self.words, bool(self.note))

    @property
    def rank(self) -> tuple[int, str]:
        """How early it is shown: what asks for attention first."""
        return attention(self.words, bool(self.note)), self.name


def services(targets: Iterable[Target]) -> list[Service]:
    """The processes by service, those first that ask for attention."""
    found = [Service(place, tuple(them)) for place, them in by_place(targets).items()]
    return sorted(found, key=lambda it: it.rank)


def by_place(targets: Iterable[Target]) -> dict[Place, list[Target]]:
    found: dict[Place, list[Target]] = {}
    for it in targets:
        user = _UNKNOWN_USER if it.user is None else it.user
        found.setdefault(place_of(it.units, it.container, user, it.command), []).append(it)
    return found
