"""Whether package managers are at work, of which one may have said that it has put its files in their places."""

from collections.abc import Collection
from threading import Lock

from liveso.errors import TargetError
from liveso.process import proc
from liveso.roots import root_of
from liveso.watch import holders

_MOST_ANCESTORS = 64


class PackageLocks:
    """The locks of package managers, `names` below any root. Safe to use from several threads."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = tuple(names)
        self._excused: dict[str, int] = {}
        self._turn = Lock()

    def are_held(self, roots: Collection[str]) -> bool:
        """Whether one is at work below one of the roots. What was excused is so until it is free, or another's."""
        held = dict(holders([root + name for root in roots for name in self._names]))
        with self._turn:
            for lock, pid in list(self._excused.items()):
                if root_of(lock) in roots and held.get(lock) != pid:
                    del self._excused[lock]
            return bool(held.keys() - self._excused.keys())

    def excuse(self, pid: int) -> list[str]:
        """Wait no more for the locks that are held now by a process or its ancestors: it says that all files are in
        their places. (apt keeps dpkg's lock-frontend until it ends, and runs its hooks before.) Returns these."""
        above = {pid}
        try:
            while (pid := proc.parent(pid)) > 1 and len(above) < _MOST_ANCESTORS:
                above.add(pid)
        except TargetError:  # one has ended: who is above it does not wait for this answer
            pass
        found = {lock: holder for lock, holder in holders(self._names) if holder in above}
        with self._turn:
            self._excused |= found
        return sorted(found)

    def wait_again(self) -> None:
        """A package manager is about to unpack: what was excused is excused no more."""
        with self._turn:
            self._excused = {}
