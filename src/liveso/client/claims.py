"""What daemons say of the libraries in each process: which of its mapped files do not matter any more, because newer
code is in force. Pure, but for the content of files on disk, of which whoever asks is told."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from liveso.client.answer import CURRENT, ROLLED_BACK, UPDATED, Library, Target

if TYPE_CHECKING:
    from liveso.process.memory_map import MappedFile

NOT_BROUGHT_IN = "liveso has not brought in what lies on disk now"
DigestOf = Callable[[str], str]
"""The SHA-256 of the file that a path leads to; empty where there is none that can be read."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is said of one process. `user` is whose daemon says so, None where it is the asking user's own or root's."""

    target: Target
    user: int | None = None

    def of(self, file: "MappedFile") -> Library | None:
        """The library that a process has mapped a file for."""
        return next((it for it in self.target.libraries if it.mapped == (file.device, file.inode)), None)


def is_in_force(it: Library, digest_of: DigestOf) -> bool:
    """Whether what lies on disk, or what a person wants instead, is in force. The daemon says what it has done: a file
    that changed since then is seen by its content."""
    if not it.in_force:
        return False
    return it.result == ROLLED_BACK or (bool(it.version) and digest_of(it.path) == it.version)


def why_not(it: Library) -> str:
    """Why a library is not in force, in which its file says so already."""
    if it.result in (CURRENT, UPDATED) and it.in_force:
        return NOT_BROUGHT_IN
    stale = [*it.stale_threads]
    if it.stale_functions:
        stale.append(f"pointers lead to the old code of {', '.join(it.stale_functions[:3])}")
    return f"{it.word}: {it.reason or '; '.join(stale) or 'no reason is known'}"


def is_unfinished(it: Library) -> bool:
    """Whether the daemon itself says that what is wanted is not in force."""
    return it.result not in (CURRENT, UPDATED, ROLLED_BACK) or bool(it.stale_functions or it.stale_threads)


def by_pid(claims: Iterable[Claim]) -> Mapping[int, Claim]:
    """The claim for each process; what comes first goes before."""
    found: dict[int, Claim] = {}
    for it in claims:
        found.setdefault(it.target.pid, it)
    return found
