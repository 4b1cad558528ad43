"""What happens: one type, which log, history, metrics and notifications read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from liveso.kinds import Kind
from liveso.places import place_of, title

ACTS = frozenset({Kind.ALLOWED, Kind.ROLLBACK, Kind.RESUME})
"""What a person did."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, to a library of a process or to all that have it, at `time` (seconds since 1970).

    `before` and `after` are the SHA-256 of the version that ran and of the one that runs, or was to run; `milliseconds`
    is how long it took, `steps` of that each step; `stale_functions` are so many whose old code pointers still lead to;
    `by` is the person who did it. `pids` are the processes, `command`, `user`, `container` and `units` those of the
    first of them. `number` is its place in the history, zero before it has one.
    """

    kind: Kind
    time: float
    library: str = ""
    pids: tuple[int, ...] = ()
    command: str = ""
    user: int = -1
    container: str = ""
    units: tuple[str, ...] = ()
    before: str = ""
    before_build_id: str = ""
    after: str = ""
    after_build_id: str = ""
    reason: str = ""
    milliseconds: float = 0.0
    steps: Mapping[str, float] = field(default_factory=dict)
    stale_functions: int = 0
    by: str = ""
    number: int = 0

    @property
    def service(self) -> str:
        """What the processes are started and ended with; empty where it is about no process."""
        if not (self.command or self.units):
            return ""
        return title(place_of(self.units, self.container, self.user, self.command))


def plain(event: Event) -> dict[str, object]:
    """An event as JSON has it (docs/commands.md)."""
    found = {it.name: getattr(event, it.name) for it in fields(event)}
    return found | {"kind": str(event.kind), "steps": dict(event.steps)}
