"""What a person does where services and libraries are shown as they change. What it is done to is told by both, and
looked up when it is done: what is shown may be a moment old."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from liveso.client.answer import Library, Status, Target, read_status
from liveso.client.ask import LIMIT, ask_daemon, ask_for
from liveso.errors import Declined, ExitCode
from liveso.services.by_service import services
from liveso.settings import Settings
from liveso.text import plural

Json = dict[str, Any]
Found = list[tuple[Target, Library]]
_WAIT = 30.0  # seconds


def find_cell(status: Status, key: str, name: str) -> Found:
    """The libraries called `name` in the processes of the service with this key."""
    return [
        (target, library)
        for service in services(status.targets)
        if service.key == key
        for target in service.targets
        for library in target.libraries
        if os.path.basename(library.path) == name
    ]


class Acts:
    """`ask` gives what the daemon knows; `order` has it do something: a path, a question, and seconds that it may take
    beyond those of any answer."""

    def __init__(self, ask: Callable[[], Status], order: Callable[[str, dict[str, str], float], Json]) -> None:
        self.ask = ask
        self._order = order

    def act(self, name: str, question: Json) -> Json:
        """`said`, a sentence for each library, and `failed`, for each that was not done. Raises Declined."""
        acts = {"rollback": self._roll_back, "resume": self._resume, "allow": self._allow}
        if name not in acts:
            raise Declined(f"{name} is nothing that can be done here", ExitCode.BAD_INPUT)
        service, library = str(question.get("service", "")), str(question.get("library", ""))
        found = find_cell(self.ask(), service, library)
        if not found:
            raise Declined(f"{library} is not in this service any more", ExitCode.NO)
        return acts[name](found)

    def _roll_back(self, found: Found) -> Json:
        said, failed = [], []
        for path, pids in _by_path(found):
            question = {"library": path, "version": "", "pids": pids, "wait": str(_WAIT)}
            for it in self._order("/rollback", question, _WAIT).get("libraries", ()):
                name, running = _name(it), len(it.get("running", ()))
                said.append(f"{plural(running, 'process runs', 'processes run')} {name} now")
                refused = {str(reason) for reason in it.get("refused", {}).values()}
                failed += [f"not rolled back: {reason}" for reason in sorted(refused)]
                if it.get("pending"):
                    failed.append(
                        f"{plural(len(it['pending']), 'process waits', 'processes wait')} until it can be done"
                    )
        return {"said": said, "failed": failed}

    def _resume(self, found: Found) -> Json:
        said = []
        for path, pids in _by_path(found):
            for it in self._order("/resume", {"library": path, "pids": pids}, 0.0).get("libraries", ()):
                count = plural(len(it.get("pids", ())), "process", "processes")
                said.append(f"{_name(it)}, which lies on disk, goes into {count}")
        return {"said": said, "failed": []}

    def _allow(self, found: Found) -> Json:
        waiting = {(it.path, it.waiting_version) for _target, it in found if it.waiting_version}
        if not waiting:
            raise Declined("nothing waits for a person there any more", ExitCode.NO)
        said = []
        for path, version in sorted(waiting):
            answer = self._order("/allow", {"library": path, "version": version}, 0.0)
            count = plural(len(answer.get("pids", ())), "process", "processes")
            said.append(f"{_name(answer)} is allowed, and goes into {count}")
        return {"said": said, "failed": []}


def acts_by_daemon(settings: Settings) -> Acts:
    """What is done by the daemon of these settings."""
    return Acts(
        ask=lambda: read_status(ask_daemon(settings, "/status")),
        order=lambda path, question, wait: ask_for(settings, path, question, wait + LIMIT),
    )


def _by_path(found: Iterable[tuple[Target, Library]]) -> list[tuple[str, str]]:
    """The paths by which the processes have loaded the library, each with their numbers."""
    pids: dict[str, list[int]] = {}
    for target, it in found:
        pids.setdefault(it.path, []).append(target.pid)
    return [(path, " ".join(map(str, those))) for path, those in pids.items()]


def _name(it: Json) -> str:
    return str(it.get("build_id") or it.get("version", ""))[:12]
