"""The entries of a package's changelog (deb-changelog(5)) with the CVEs that each names, as /usr/share/doc has it."""

import gzip
import logging
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

from debian.changelog import Changelog, ChangelogParseError

from liveso.dpkg.reading import read

_NAMES = "changelog.Debian.gz", "changelog.gz", "changelog.Debian", "changelog"  # the latter of native packages
_LARGEST = 16 << 20  # bytes, compressed or not
_MOST_ENTRIES = 500
_CVE = re.compile(r"\bCVE-(?:19|20)\d\d-\d{4,10}\b", re.IGNORECASE)

logging.getLogger("debian").addHandler(logging.NullHandler())  # what is odd in a changelog is nobody's news here


@dataclass(frozen=True, slots=True)
class Entry:
    """A version of a source package, and the CVEs that its entry names, in their order."""

    version: str
    cves: tuple[str, ...]


def read_changelog(root: str, package: str, source_version: str) -> tuple[Entry, ...]:
    """The entries of an installed package below `root`, newest first, from `source_version` on; none where the
    changelog is not there (images of containers leave it out), cannot be read, or is another version's.

    What lies behind the last entry was removed, or is too much: nothing is known of it.
    """
    for name in _NAMES:
        with suppress(OSError, EOFError, zlib.error):
            content = read(f"{root}/usr/share/doc/{package}/{name}", _LARGEST)
            if name.endswith(".gz"):
                with gzip.open(BytesIO(content)) as file:
                    content = file.read(_LARGEST)
            entries = tuple(entries_in(content.decode(errors="replace")))
            versions = [it.version for it in entries]
            if source_version in versions:  # upstream's own changelog.gz has no such entries
                return entries[versions.index(source_version) :]
    return ()


def joined(entries: tuple[Entry, ...], earlier: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The entries of a changelog from which older ones were removed, with those of an `earlier` version's: as they are
    where these do not reach into it, for then nobody knows what came in between."""
    if not entries or not earlier:
        return entries
    places = [place for place, it in enumerate(earlier) if it.version == entries[-1].version]
    return (*entries, *earlier[places[0] + 1 :])[:_MOST_ENTRIES] if places else entries


def entries_in(text: str) -> Iterator[Entry]:
    """The entries of a changelog, as far as they can be read."""
    with suppress(ChangelogParseError, ValueError):
        for block in Changelog(text, _MOST_ENTRIES, allow_empty_author=True, strict=False):
            if block.package and block._raw_version:
                named = (it.upper() for it in _CVE.findall("\n".join(block.changes())))
                yield Entry(str(block._raw_version), tuple(dict.fromkeys(named)))
