"""What `liveso status` shows at a glance: each service once, with each of its libraries once. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from liveso.client.answer import CURRENT, Library, Target, rank
from liveso.client.claims import Claim, is_unfinished, why_not
from liveso.places import Kind, Place, title
from liveso.roots import inside
from liveso.services.blocks import Row, common, row_of
from liveso.services.by_service import by_place
from liveso.services.needs import Reason
from liveso.services.standing import OLD_CODE, Standing, attention, standing


@dataclass(frozen=True, slots=True)
class Service:
    """A service as daemons know it. `whose` is the user whose daemon it is, None for the asking one's. `rows` are its
    libraries that are not merely current, each with the number of its processes; `reasons` say why it runs old code
    besides; `notes` why processes of it are not served. `words` are what is said of its libraries, `current` the least
    and the most that are current in one of the processes, and `command` is what their command lines have in common."""

    place: Place
    whose: int | None
    pids: tuple[int, ...]
    rows: tuple[tuple[Row, int], ...]
    reasons: tuple[tuple[Reason, int], ...]
    notes: tuple[tuple[str, int], ...]
    current: tuple[int, int]
    words: frozenset[str]
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
    def standing(self) -> Standing:
        return standing(self.words, bool(self.notes))

    @property
    def _order(self) -> tuple[int, str]:
        return attention(self.words, bool(self.notes)), self.title


def services(claims: Iterable[Claim], seen: Mapping[int, Sequence[Reason]]) -> list[Service]:
    """What asks for somebody's attention comes first. `seen` is why processes that were looked at run old code; of the
    others, what their daemon says counts."""
    by_daemon: dict[int | None, list[Target]] = {}
    for claim in claims:
        by_daemon.setdefault(claim.user, []).append(claim.target)
    found = [
        _service(place, whose, them, seen)
        for whose, targets in by_daemon.items()
        for place, them in by_place(targets).items()
    ]
    return sorted(found, key=lambda it: it._order)


def said_of(target: Target) -> list[Reason]:
    """Why a process needs a restart, as its daemon alone says."""
    return [Reason(it.path, why_not(it), it.word) for it in target.libraries if is_unfinished(it)]


def _service(
    place: Place, whose: int | None, targets: Sequence[Target], seen: Mapping[int, Sequence[Reason]]
) -> Service:
    rows: dict[object, list[Library]] = {}
    reasons: dict[Reason, int] = {}
    notes: dict[str, int] = {}
    counts, words = [], set[str]()
    for target in targets:
        shown = [replace(it, path=inside(it.path)) for it in target.libraries if it.word != CURRENT]
        for it in shown:
            rows.setdefault((it.path, it.version, it.word, it.reason), []).append(it)
        if target.note:
            notes[target.note] = notes.get(target.note, 0) + 1
        why = seen.get(target.pid, said_of(target))
        words |= {reason.word for reason in why} | {it.result for it in shown if not is_unfinished(it)}
        for reason in why:
            if reason.word == OLD_CODE:  # the library's row does not tell it
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
        words=frozenset(words),
        command=common([it.command for it in targets]),
    )
