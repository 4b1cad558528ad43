"""Which version of a library a target is to run: what lies on disk, unless it was rolled back."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from liveso.daemon.disk import Disk
from liveso.daemon.log import log
from liveso.daemon.pins import Pin, Pins, Process, Rollback
from liveso.daemon.state import Library, ServedTarget
from liveso.errors import StoreError, TargetError
from liveso.process import proc
from liveso.store import Version

_MOST_ANCESTORS = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """The version that a library is to run in a target, None where that is not known now, since what lies on disk is
    not; and the rollback by which it is not that."""

    version: Version | None
    rollback: Rollback | None = None


class WantedVersions:
    def __init__(self, disk: Disk, pins: Pins) -> None:
        self._disk = disk
        self._pins = pins

    def of(self, served: ServedTarget, path: str) -> Wanted:
        """What is wanted of the library at `path`. While its file changes, or is gone, a rollback stays what it is, and
        nothing is done."""
        on_disk, pin = self._disk.version(path), self._pins.of(path)
        rollback = pin.rollback(process_of(served)) if pin else None
        if rollback is None or on_disk not in (None, rollback.over):
            return Wanted(on_disk)
        return Wanted(rollback.to if on_disk else None, rollback)

    async def meet(self, served: ServedTarget) -> None:
        """Let the libraries that are new in a target be rolled back where they were in the process that it came from by
        fork(2)."""
        for library in served.libraries.values():
            if library.is_new and library.state:
                library.is_new = False
                pin = self._pins.of(library.path)
                if pin and pin.processes and process_of(served) not in pin.processes:
                    await asyncio.to_thread(self._inherit, served, library, pin)

    def _inherit(self, served: ServedTarget, library: Library, pin: Pin) -> None:
        choice = pin.inherited(library.state, _ancestors(served.pid)) if library.state else None
        if choice is None:
            return
        try:
            self._pins.add(library.path, process_of(served), choice)
        except StoreError as error:
            log.warning("failed", pid=served.pid, library=library.path, reason=str(error))

    def disk_changed(self, paths: Iterable[str]) -> None:
        """A rollback is over once something else lies on disk."""
        for path in paths:
            pin, on_disk = self._pins.of(path), self._disk.version(path)
            if pin and on_disk and on_disk != pin.over:
                log.info("rollback-over", library=path, version=str(on_disk), over=str(pin.over))
                try:
                    self._pins.drop(path)
                except StoreError as error:  # the next daemon sees for itself that another version lies there
                    log.warning("failed", library=path, reason=str(error))


def process_of(served: ServedTarget) -> Process:
    return Process(served.peer.pid, served.peer.started)


def _ancestors(pid: int) -> set[Process]:
    """The parent of a process, its parent, and so on."""
    found: set[Process] = set()
    try:
        while (pid := proc.parent(pid)) > 1 and len(found) < _MOST_ANCESTORS:
            found.add(Process(pid, proc.start_time(pid)))
    except TargetError:  # it ended at this moment
        pass
    return found
