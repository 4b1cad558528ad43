"""The packages that the libraries of targets came from: when a process began, as it runs, and as it lies on disk."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial

from liveso.daemon.disk import Disk
from liveso.daemon.provenances import Provenances
from liveso.daemon.state import Library, ServedTarget, is_in_force
from liveso.dpkg import Provenance
from liveso.process.identity import Identity, read_file_identity
from liveso.roots import inside
from liveso.store import Version
from liveso.withheld import NoAnswer, aside

_PATIENCE = 20.0  # seconds, for packages that are looked up
_LONGEST_LOOK = 2.0  # seconds, at a file

IsAsked = Callable[[ServedTarget, str], bool]
"""Whether a library of a target, at a path, is asked for."""
Since = Callable[[ServedTarget, str], Version | None]
"""The version of a library to count from; None where that is the one that the process began with."""


@dataclass
class Answer:
    """Rows of libraries by process, and the packages that they name by key, each once."""

    targets: list[dict[str, object]] = field(default_factory=list)
    packages: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    def key(self, name: str, find: Callable[[], tuple[Provenance, ...]]) -> str:
        """The key of what `find` finds; empty where that is nothing. It is called once for each name."""
        if name not in self.packages:
            self.packages[name] = [asdict(it) for it in find()]
        return name if self.packages[name] else ""


class Packages:
    """Tells of the libraries of `targets` that do not run what they began with, or what lies on disk; and of what is
    left as it is, the program and libc, where another file lies on disk."""

    def __init__(self, disk: Disk, provenances: Provenances, targets: Mapping[int, ServedTarget]) -> None:
        self._disk = disk
        self._provenances = provenances
        self._targets = targets

    def hurry(self) -> None:
        """Packages are about to be unpacked: what lies on disk now will not for long."""
        self._provenances.hurry()

    async def answer(
        self, is_asked: IsAsked = lambda _served, _path: True, since: Since = lambda _served, _path: None
    ) -> dict[str, object]:
        """As JSON (docs/commands.md)."""
        paths = {it.path for served in self._targets.values() for it in served.fixed.values()}
        there = {path: await _identity_at(path) for path in paths}
        for path, identity in there.items():
            if identity:
                self._provenances.saw(path, identity)
        with suppress(TimeoutError):  # a package manager may be at work
            async with asyncio.timeout(_PATIENCE):
                await self._provenances.settled()
        answer = Answer()
        for served in list(self._targets.values()):
            libraries = [
                *self._libraries(served, is_asked, since, answer),
                *self._left_alone(served, is_asked, there, answer),
            ]
            shown = {"pid": served.pid, "command": served.command, "user": served.target.user}
            shown |= {"container": served.container, "units": served.units, "note": served.note}
            answer.targets.append(shown | {"libraries": libraries})
            await asyncio.sleep(0)  # the daemon goes on with its work
        return {"targets": answer.targets, "packages": {name: it for name, it in answer.packages.items() if it}}

    def _libraries(
        self, served: ServedTarget, is_asked: IsAsked, since: Since, answer: Answer
    ) -> Iterable[dict[str, object]]:
        for it in served.libraries.values():
            if not is_asked(served, it.path):
                continue
            state, on_disk = it.state, self._disk.version(it.path)
            if state is None:
                yield _row(it, "", "", self._key(it.path, on_disk, answer))
                continue
            began = since(served, it.path) or state.home.version
            # of what was updated, but is not in force, the first version can still run
            runs = state.home.version if it.stale or it.inside else state.current
            if {began, runs, state.current, on_disk or runs} != {runs}:
                keys = [self._key(it.path, version, answer) for version in (began, runs, on_disk)]
                yield _row(it, *keys) | {"differs": on_disk is not None and runs != on_disk}

    def _key(self, path: str, version: Version | None, answer: Answer) -> str:
        if version is None:
            return ""
        return answer.key(f"{version.digest}@{_where(path)}", lambda: self._provenances.of(path, version))

    def _left_alone(
        self, served: ServedTarget, is_asked: IsAsked, on_disk: Mapping[str, Identity | None], answer: Answer
    ) -> Iterable[dict[str, object]]:
        for it in served.fixed.values():
            there = on_disk.get(it.path)
            if there is None or there == it.identity or not is_asked(served, it.path):
                continue
            began, now = (
                answer.key(f"{one.build_id}@{it.path}", partial(self._provenances.of_file, it.path, one))
                for one in (it.identity, there)
            )
            yield {
                "path": it.path,
                "result": "left alone",
                "reason": it.why,
                "in_force": False,
                "began": began,
                "runs": began,
                "on_disk": now,
                "differs": True,
            }


async def _identity_at(path: str) -> Identity | None:
    with suppress(NoAnswer):
        return await aside(path, partial(read_file_identity, path), _LONGEST_LOOK)
    return None


def _row(it: Library, began: str, runs: str, on_disk: str) -> dict[str, object]:
    return {
        "path": it.path,
        "result": it.result,
        "reason": it.reason or _old_code(it),
        "in_force": is_in_force(it),
        "began": began,
        "runs": runs,
        "on_disk": on_disk,
        "differs": True,
    }


def _old_code(it: Library) -> str:
    """Why what was updated is not in force; empty where that is not so."""
    if it.inside:
        return f"thread {it.inside[0].thread} ({it.inside[0].name}) is in old code: {it.inside[0].function}"
    if it.stale:
        return f"pointers still lead to the old code of {it.stale[0]}" + (
            f" and {len(it.stale) - 1} more functions" if len(it.stale) > 1 else ""
        )
    return ""


def _where(path: str) -> str:
    """The root of a path in a key: what two say of the same content may differ."""
    return path.removesuffix(inside(path))
