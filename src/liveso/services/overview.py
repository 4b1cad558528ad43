"""What `liveso status` shows at a glance: each service once, with each of its libraries once. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from liveso.client.answer import CURRENT, UPDATED, Library, Target, rank
from liveso.client.claims import Claim, is_unfinished, why_not
from liveso.places import Kind, Place, place_of, title
from liveso.roots import inside
from liveso.services.blocks import Row, common, row_of
from liveso.services.needs import Reason

_UNKNOWN_USER = -1
_SAY_NOTHING = ("", CURRENT, UPDATED)
"""Results of which a library's row does not tell why a restart is needed."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service as daemons know it. `whose` is the user whose daemon it is, None for the asking one's. `rows` are its
    libraries that are not merely current, each with the number of its processes; `reasons` say why it needs a restart
    besides; `notes` why processes of it are not served. `current` are the least and the most libraries that are current
    in one of them, and `command` is what their command lines
    have in common."""

    place: Place
    whose: int | None
    pids: tuple[int, ...]
    rows: tuple[tuple[Row, int], ...]
    reasons: tuple[tuple[Reason, int], ...]
    notes: tuple[tuple[str, int], ...]
    current: tuple[int, int]
    needs_restart: bool
    command: str

    @property
    def title(self) -> str:
        return title(self.place)

    @property
    def long_title(self) -> str:
        """With the command line, where nothing but that tells what it is."""
        return self.command if self.place.kind is Kind.COMMAND else self.title

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to say but the number of its libraries."""
        return not (self.rows or self.reasons or self.notes)

    @property
    def _order(self) -> tuple[bool, int, bool, str]:
        worst = min((rank(row.latest.result) for row, _count in self.rows), default=rank(CURRENT))
        return not self.needs_restart, worst, not self.notes, self.title


def services(claims: Iterable[Claim], seen: Mapping[int, Sequence[Reason]]) -> list[Service]:
    """What asks for somebody's attention comes first. `seen` is why processes that were looked at run old code; of the
    others, what their daemon says counts."""
    together: dict[tuple[Place, int | None], list[Target]] = {}
    for claim in claims:
        together.setdefault((place_of_target(claim.target), claim.user), []).append(claim.target)
    found = [_service(place, whose, targets, seen) for (place, whose), targets in together.items()]
    return sorted(found, key=lambda it: it._order)


def place_of_target(it: Target) -> Place:
    user = _UNKNOWN_USER if it.user is None else it.user
    return place_of(it.units, it.container, user, it.command)


def said_of(target: Target) -> list[Reason]:
    """Why a process needs a restart, as its daemon alone says."""
    return [Reason(it.path, why_not(it), it.word) for it in target.libraries if is_unfinished(it)]


def _service(
    place: Place, whose: int | None, targets: Sequence[Target], seen: Mapping[int, Sequence[Reason]]
) -> Service:
    rows: dict[object, list[Library]] = {}
    reasons: dict[Reason, int] = {}
    notes: dict[str, int] = {}
    counts, needs = [], False
    for target in targets:
        shown = [replace(it, path=inside(it.path)) for it in target.libraries if it.word != CURRENT]
        for it in shown:
            rows.setdefault((it.path, it.version, it.word, it.reason), []).append(it)
        if target.note:
            notes[target.note] = notes.get(target.note, 0) + 1
        why = seen.get(target.pid, said_of(target))
        needs = needs or bool(why)
        for reason in why:
            if reason.result in _SAY_NOTHING:
                reasons[reason] = reasons.get(reason, 0) + 1
        counts.append(len(target.libraries) - len(shown))
    ordered = sorted(rows.values(), key=lambda them: (rank(them[0].result), them[0].path))
    return Service(
        place=place,
        whose=whose,
        pids=tuple(sorted(it.pid for it in targets)),
        rows=tuple((row_of(them), len(them)) for them in ordered),
        reasons=tuple(reasons.items()),
        notes=tuple(notes.items()),
        current=(min(counts), max(counts)),
        needs_restart=needs,
        command=common([it.command for it in targets]),
    )
