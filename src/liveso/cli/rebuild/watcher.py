"""Watching folders: by a thread, which tells what changed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread

import watchfiles

from liveso.cli.rebuild.files import change_of, files_below, may_be_source, not_ignored
from liveso.cli.rebuild.sources import Change

_STEP, _DEBOUNCE = 50, 400  # milliseconds without a change, after which those before are told; at most


class Watcher:
    """Tells the changes of what may be a source, in this thread. A root that is a file is watched by its folder: an
    editor puts another file in its place."""

    def __init__(
        self, roots: Sequence[str], tell: Callable[[list[Change]], None], failed: Callable[[str], None]
    ) -> None:
        self._roots = [Path(it).resolve() for it in roots]
        self._tell, self._failed = tell, failed
        self._end = Event()
        self._thread = Thread(target=self._watch, name="watcher", daemon=True)

    def start(self) -> set[str]:
        """Begin, and return the files that are there."""
        self._thread.start()
        return {it for root in self._roots for it in files_below(root)}

    def stop(self) -> None:
        self._end.set()

    def _watch(self) -> None:
        folders = {it if it.is_dir() else it.parent for it in self._roots}
        try:
            for found in watchfiles.watch(
                *folders,
                watch_filter=None,
                debounce=_DEBOUNCE,
                step=_STEP,
                stop_event=self._end,
                rust_timeout=500,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                paths = self._sources({path for _kind, path in found})
                if changes := [it for path in paths if (it := change_of(path))]:
                    self._tell(changes)
        except (OSError, RuntimeError) as error:  # no inotify watches left, a folder that went
            self._failed(f"changes of the sources are not seen any more: {error}")

    def _sources(self, paths: set[str]) -> set[str]:
        found = set()
        for root in self._roots:
            if below := {it for it in paths if may_be_source(root, Path(it))}:
                found |= not_ignored(root, below)
        return found
