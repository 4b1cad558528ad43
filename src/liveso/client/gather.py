"""What daemons know, asked of all that concern a user: their own, and for root those of other users, too."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from liveso.client.answer import Status, read_status
from liveso.client.ask import LIMIT, ask_daemon
from liveso.client.claims import Claim
from liveso.errors import LivesoError, NoDaemon, NotPermitted
from liveso.settings import Settings, default_socket

if TYPE_CHECKING:
    from liveso.client.others import Other


@dataclass(frozen=True, slots=True)
class Gathered:
    """`answer` is what the own daemon said, None where none did, and `missing` why; `others` are other users'."""

    answer: dict[str, Any] | None
    missing: LivesoError | None
    others: Sequence["Other"] = field(default=())

    @property
    def status(self) -> Status:
        """What the own daemon knows."""
        return read_status(self.answer or {})

    def claims(self) -> list[Claim]:
        """What is said of each process, the own daemon's word first."""
        own = [Claim(it) for it in self.status.targets]
        theirs = [(other.user, read_status({"targets": other.targets}).targets) for other in self.others]
        return own + [Claim(it, user) for user, targets in theirs for it in targets]


def gather(settings: Settings, limit: float = LIMIT) -> Gathered:
    """Ask them. Whoever names a socket asks the daemon there alone."""
    others: Sequence[Other] = ()
    if os.geteuid() == 0 and settings.socket == default_socket({}):
        from liveso.client.others import ask_others  # looks at processes, which costs a start more

        others = ask_others()
    try:
        return Gathered(ask_daemon(settings, "/status", limit=limit), None, others)
    except (NoDaemon, NotPermitted) as error:
        return Gathered(None, error, others)


def problems_of(others: Sequence["Other"]) -> list[str]:
    """A line for each daemon that does not say what it knows."""
    return [f"{it.whose} {it.problem}" for it in others if it.problem]


def as_one(gathered: Gathered, pids: Collection[int] | None = None) -> dict[str, Any]:
    """The answer as `status --json` prints it: that of the own daemon, and for root the `others`; of the processes
    `pids` alone, if they are given."""

    def of(targets: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return [it for it in targets if pids is None or it["pid"] in pids]

    own = gathered.answer or {"pid": 0, "version": "", "problems": [], "targets": []}
    answer = {**own, "targets": of(own["targets"])}
    if gathered.others:
        answer["others"] = [
            {"user": it.user, "problem": it.problem, "targets": of(it.targets)} for it in gathered.others
        ]
    return answer
