"""Which CVEs lie between two versions of a library."""

from dataclasses import dataclass

from debian.debian_support import Version

from liveso.dpkg.changelog import Entry
from liveso.dpkg.provenance import Provenance
from liveso.dpkg.tracker import Tracker

_NO_PACKAGE = "which package {0} came from is not known"


@dataclass(frozen=True, slots=True)
class Fixes:
    """The CVEs that are fixed on the way, in the order of their numbers; `unknown` says why there may be more."""

    cves: tuple[str, ...] = ()
    unknown: str = ""


def fixes_between(old: Provenance | None, new: Provenance | None, tracker: Tracker | None = None) -> Fixes:
    """What `new` fixes that `old` has not fixed: nothing where it is not newer.

    The changelog's entries in (old, new] name it, and so does the tracker's copy, where one is given. If the changelog
    goes back past `old`, or the tracker knows the source, nothing is missing from that.
    """
    if old is None or new is None:
        both = "it" if old is None and new is None else "the older version" if old is None else "the newer version"
        return Fixes(unknown=_NO_PACKAGE.format(both))
    if old.package.source != new.package.source:
        return Fixes(unknown=f"it came from {old.package.source} before, and now from {new.package.source}")
    try:
        low, high = Version(old.package.source_version), Version(new.package.source_version)
        if high <= low:
            return Fixes()
        found = {cve for it in new.entries if low < Version(it.version) <= high for cve in it.cves}
        is_complete = bool(new.entries) and Version(new.entries[-1].version) <= low
        if not any(it.version == old.package.source_version for it in new.entries):
            # the other branch's own changelog: what it fixed by itself is named again here
            found -= {cve for it in old.entries for cve in it.cves}
        if tracker:
            source, name = new.package.source, new.release.name
            found |= set(tracker.fixed(source, name, old.package.source_version, new.package.source_version))
            is_complete = is_complete or (bool(name) and tracker.knows(source))
    except ValueError as error:
        return Fixes(unknown=f"their versions cannot be compared: {error}")
    return Fixes(tuple(sorted(found, key=number_of)), "" if is_complete else _unread(new, new.entries))


def _unread(new: Provenance, entries: tuple[Entry, ...]) -> str:
    if not entries:
        return f"the changelog of {new.package.name} is not there"
    return f"the changelog of {new.package.name} begins with {entries[-1].version}"


def number_of(cve: str) -> tuple[int, ...]:
    """Its year and number, by which CVEs are put in order."""
    return tuple(int(it) for it in cve.split("-") if it.isdecimal())
