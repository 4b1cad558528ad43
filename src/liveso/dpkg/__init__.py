"""Debian's packages, as dpkg and their changelogs tell of them: where a file comes from, and which CVEs are fixed
between two versions. Everything is read from files, below any root; nothing is asked of the network."""

from liveso.dpkg.archive import libraries_of, output_of
from liveso.dpkg.changelog import Entry, joined, read_changelog
from liveso.dpkg.database import Database, Owner, Package, may_be_packaged, read_database, state_of
from liveso.dpkg.fixes import Fixes, fixes_between, number_of
from liveso.dpkg.hook import archives_in
from liveso.dpkg.members import Member, chosen
from liveso.dpkg.paths import merged
from liveso.dpkg.provenance import MOST, Provenance, from_json, newest, to_json
from liveso.dpkg.release import Release, read_release
from liveso.dpkg.short import shortened
from liveso.dpkg.tracker import Tracker, read_tracker

__all__ = [
    "MOST",
    "Database",
    "Entry",
    "Fixes",
    "Member",
    "Owner",
    "Package",
    "Provenance",
    "Release",
    "Tracker",
    "archives_in",
    "chosen",
    "fixes_between",
    "from_json",
    "joined",
    "libraries_of",
    "may_be_packaged",
    "merged",
    "newest",
    "number_of",
    "output_of",
    "read_changelog",
    "read_database",
    "read_release",
    "read_tracker",
    "shortened",
    "state_of",
    "to_json",
]
