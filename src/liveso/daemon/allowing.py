"""`liveso allow`: a person says that a version which waits may be applied."""

import asyncio
from collections.abc import Iterable

from liveso.daemon.events import Events
from liveso.daemon.naming import beginning_of_version, libraries_called, only_one
from liveso.daemon.permissions import Permissions
from liveso.daemon.state import Library, Result, ServedTarget
from liveso.errors import Declined, ExitCode, LivesoError
from liveso.history import Kind
from liveso.store import Store, Version

_SEE = "`liveso status` shows what waits"


class Allowing:
    """Gives permissions for what waits in `targets`, and lets these try again."""

    def __init__(self, store: Store, permissions: Permissions, events: Events) -> None:
        self._store = store
        self._permissions = permissions
        self._events = events

    async def allow(self, targets: Iterable[ServedTarget], library: str, beginning: str, by: str) -> dict[str, object]:
        """Allow the version of a library, named by path or base name, whose SHA-256 or build ID starts with
        `beginning`, in the name of the person `by`. Returns what is allowed, as JSON (docs/commands.md).

        Raises Declined where nothing of this name waits, several versions do, or it is refused for other reasons;
        StoreError where the permission cannot be kept.
        """
        wanted = beginning_of_version(beginning, _SEE)
        named = libraries_called(library, targets, _SEE)
        names = await asyncio.to_thread(self._names, {it.refused for _served, it in named if it.refused})
        found = only_one(wanted, names, library)
        if found is None:
            raise Declined(f"no version {beginning} of {library} waits for a person; {_SEE}", ExitCode.NO)
        return await self._give(found, [(served, it) for served, it in named if it.refused == found], by)

    async def _give(self, version: Version, named: list[tuple[ServedTarget, Library]], by: str) -> dict[str, object]:
        waiting = [(served, it) for served, it in named if it.result is Result.WAITING]
        if not waiting:
            it = named[0][1]
            raise Declined(
                f"{it.path}: version {version} is {it.result}, which nobody can allow: {it.reason}", ExitCode.NO
            )
        for old, path in {it.state.current: it.path for _served, it in waiting if it.state}.items():
            await asyncio.to_thread(self._permissions.give, old, version, path)
        paths = sorted({it.path for _served, it in waiting})
        for path in paths:
            self._events.act(Kind.ALLOWED, path, by, after=version)
        for served, _it in waiting:
            served.due.set()
        pids = sorted({it.pid for it, _library in waiting})
        build_id = await asyncio.to_thread(self._build_id, version)
        return {"libraries": paths, "version": version.digest, "build_id": build_id, "pids": pids}

    def _names(self, versions: set[Version]) -> dict[Version, tuple[str, ...]]:
        """What each version may be called: its SHA-256 and its build ID."""
        return {it: (it.digest, self._build_id(it)) for it in versions}

    def _build_id(self, version: Version) -> str:
        try:
            return self._store.build_id(version)
        except LivesoError:
            return ""
