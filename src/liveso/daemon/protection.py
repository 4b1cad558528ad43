"""Files that are overwritten in place: whoever wants to do that waits until no target has them mapped any more."""

import os
import time
from collections.abc import Iterable, Mapping

from liveso.daemon.log import log
from liveso.daemon.overwrite import carry_targets
from liveso.daemon.results import Results
from liveso.daemon.state import Library, ServedTarget
from liveso.daemon.supervision import Supervisor
from liveso.process.memory_map import MappedFile
from liveso.settings import Settings
from liveso.store import Store
from liveso.watch import IN_WRITING, Lease, Leases


class Protection:
    """Holds leases on the files that targets have mapped."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        supervisor: Supervisor,
        results: Results,
        targets: Mapping[int, ServedTarget],
    ) -> None:
        self._settings = settings
        self._store = store
        self._supervisor = supervisor
        self._results = results
        self._targets = targets
        self._leases = Leases()
        self._letting_go: set[MappedFile] = set()
        self._said: set[tuple[MappedFile, str]] = set()

    def protect(self, library: Library) -> None:
        """Hold up whoever wants to overwrite the file that a target has mapped."""
        if library.state is None:
            library.unprotected = "the version that runs is not known"
            return
        if self._store.version_of(library.file.path):
            return
        if library.target.root:
            library.unprotected = "its process sees other files than the daemon"
            return
        if library.target.agent.is_translated:
            library.unprotected = "an emulator runs its process"
            return
        if self._settings.overwrite == "ignore":
            library.unprotected = "switched off (LIVE_OVERWRITE)"
            return
        library.unprotected = self._leases.take(library.file, library.state.home.version)
        said = (library.file, library.unprotected)
        if library.unprotected and said not in self._said:
            self._said.add(said)
            log.info("unprotected", library=library.path, reason=library.unprotected)

    def protect_again(self, libraries: Iterable[Library]) -> None:
        """Try once more where somebody was writing."""
        for library in libraries:
            if library.unprotected == IN_WRITING:
                self.protect(library)

    def keep_only(self, files: Iterable[MappedFile]) -> None:
        used = set(files)
        self._leases.keep_only(used)
        self._said = {said for said in self._said if said[0] in used}

    def let_writers_go_on(self) -> None:
        """Somebody may wait to overwrite library files: carry the targets over to the store's copies first."""
        for lease in self._leases.broken():
            if lease.file not in self._letting_go:
                self._letting_go.add(lease.file)
                self._supervisor.start(self._let_writer_go_on(lease))

    async def _let_writer_go_on(self, lease: Lease) -> None:
        start = time.perf_counter()
        log.info("overwrite", library=lease.file.path)
        try:
            await carry_targets(lease, self._targets, self._store, self._not_carried)
        finally:
            self._leases.release(lease)
            self._letting_go.discard(lease.file)
        milliseconds = (time.perf_counter() - start) * 1000
        log.info("overwrite-goes-on", library=lease.file.path, milliseconds=round(milliseconds, 1))

    def _not_carried(self, served: ServedTarget, file: MappedFile, reason: str) -> None:
        log.warning("not-carried", pid=served.target.pid, library=file.path, reason=reason)
        name = os.path.basename(file.path)
        self._results.say(
            served, 1, f"{name}: overwritten in place, which may end the program: not carried over: {reason}"
        )
        for library in served.libraries.values():
            if library.file == file:
                library.unprotected = reason
