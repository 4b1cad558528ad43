"""The CVEs that a changelog's entries name, and those between two versions."""

import gzip
from pathlib import Path

import pytest

from liveso.dpkg import (
    Entry,
    Fixes,
    Package,
    Provenance,
    Release,
    Tracker,
    fixes_between,
    from_json,
    joined,
    newest,
    read_changelog,
    read_tracker,
    shortened,
    to_json,
)
from liveso.dpkg.changelog import entries_in
from liveso.dpkg.release import release_in
from liveso.errors import BadTracker
from tests.apt_root import changelog

BOOKWORM = Release("debian", "12", "bookworm")
ENTRIES = (
    Entry("1.0-3", ("CVE-2026-0003",)),
    Entry("1.0-2", ("CVE-2026-0002", "CVE-2026-0001")),
    Entry("1.0-1", ("CVE-2025-9999",)),
)


def of(version: str, entries: tuple[Entry, ...] = (), source: str = "one", release: Release = BOOKWORM) -> Provenance:
    return Provenance(Package("libone1", version, "amd64", source, version), release, entries)


def write(folder: Path, text: str, name: str = "changelog.Debian.gz", package: str = "libone1") -> None:
    path = folder / "usr/share/doc" / package / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())


def test_each_entry_has_its_cves_once_however_they_are_written() -> None:
    text = changelog(
        "one", [("1:1.0-2", "Fix cve-2026-0001, (CVE-2026-0001), CVE-2026-12345678;\n    CVE-20"), ("1.0-1", "x")]
    )
    found = list(entries_in(text + "\n# Older entries have been removed from this changelog.\n"))
    assert found == [Entry("1:1.0-2", ("CVE-2026-0001", "CVE-2026-12345678")), Entry("1.0-1", ())]


@pytest.mark.parametrize(
    "text", ["", "\0\1\2", "one (1.0", "Copyright\n\nAll rights", "one (1.0-1) x; urgency=low\n\n  *"]
)
def test_what_is_no_changelog_has_no_entries_that_are_believed(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    assert read_changelog(str(tmp_path), "libone1", "1.0-2") == ()


def test_the_changelog_begins_with_the_version_that_is_asked_for(tmp_path: Path) -> None:
    text = changelog("one", [("1.0-3", "CVE-2026-0003"), ("1.0-2", ""), ("1.0-1", "")])
    write(tmp_path, text)
    assert [it.version for it in read_changelog(str(tmp_path), "libone1", "1.0-2")] == ["1.0-2", "1.0-1"]
    assert read_changelog(str(tmp_path), "libone1", "1.0-4") == ()  # an older package's, left there
    assert read_changelog(str(tmp_path), "libtwo1", "1.0-2") == ()


def test_a_native_package_and_upstreams_own_changelog_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path, "Changes between 1.0 and 1.1: CVE-2026-0009\n", "changelog.gz")
    assert read_changelog(str(tmp_path), "libone1", "1.0-1") == ()
    write(tmp_path, changelog("one", [("1.0", "CVE-2026-0001")]), "changelog.gz")
    assert read_changelog(str(tmp_path), "libone1", "1.0") == (Entry("1.0", ("CVE-2026-0001",)),)


def test_a_damaged_changelog_is_none(tmp_path: Path) -> None:
    write(tmp_path, changelog("one", [("1.0-1", "x" * 999)]))
    path = tmp_path / "usr/share/doc/libone1/changelog.Debian.gz"
    for content in (path.read_bytes()[:60], b"\x1f\x8b" + bytes(60)):
        path.write_bytes(content)
        assert read_changelog(str(tmp_path), "libone1", "1.0-1") == ()


def test_only_what_lies_between_the_versions_is_fixed() -> None:
    new = of("1.0-3", ENTRIES)
    assert fixes_between(of("1.0-1"), new) == Fixes(("CVE-2026-0001", "CVE-2026-0002", "CVE-2026-0003"))
    assert fixes_between(of("1.0-2"), new) == Fixes(("CVE-2026-0003",))
    assert fixes_between(new, new) == Fixes()
    assert fixes_between(new, of("1.0-1", ENTRIES[2:])) == Fixes()  # back


def test_a_changelog_that_does_not_go_back_far_enough_says_so() -> None:
    assert fixes_between(of("1.0-1"), of("1.0-3", ENTRIES[:1])) == Fixes(
        ("CVE-2026-0003",), "the changelog of libone1 begins with 1.0-3"
    )
    assert fixes_between(of("1.0-1"), of("1.0-3")).unknown == "the changelog of libone1 is not there"
    assert "is not known" in fixes_between(None, of("1.0-3", ENTRIES)).unknown
    assert "is not known" in fixes_between(of("1.0-1"), None).unknown
    assert "came from two before" in fixes_between(of("1.0-1", source="two"), of("1.0-3", ENTRIES)).unknown
    assert "cannot be compared" in fixes_between(of("nonsense!"), of("1.0-3", ENTRIES)).unknown


def test_what_another_branch_has_fixed_by_itself_is_not_fixed_again() -> None:
    stable = of("1.0-1+deb12u1", (Entry("1.0-1+deb12u1", ("CVE-2026-0002",)), *ENTRIES[2:]))
    assert fixes_between(stable, of("1.0-3", ENTRIES)) == Fixes(("CVE-2026-0001", "CVE-2026-0003"))


def test_what_was_removed_from_a_changelog_since_is_taken_from_the_earlier_versions() -> None:
    assert joined(ENTRIES[:2], ENTRIES[1:]) == ENTRIES
    assert joined(ENTRIES[:1], ENTRIES[1:]) == ENTRIES[:1]  # there may have been others in between
    assert joined(ENTRIES, ENTRIES[1:]) == ENTRIES
    assert joined((), ENTRIES) == () and joined(ENTRIES, ()) == ENTRIES


TRACKER = Tracker(
    {
        "one": {
            "CVE-2026-0004": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "1.0-3"}}},
            "CVE-2026-0005": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "0"}}},
            "CVE-2026-0006": {"releases": {"bookworm": {"status": "open"}}},
            "CVE-2026-0007": {"releases": {"trixie": {"status": "resolved", "fixed_version": "1.0-3"}}},
            "CVE-2026-0008": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "1.0-1"}}},
            "TEMP-0": {"releases": None},
        }
    }
)


def test_the_tracker_adds_to_the_changelog_and_stands_in_for_one_that_is_not_there() -> None:
    old = of("1.0-1")
    assert fixes_between(old, of("1.0-3"), TRACKER) == Fixes(("CVE-2026-0004",))
    assert fixes_between(of("1.0-2"), of("1.0-3", ENTRIES), TRACKER) == Fixes(("CVE-2026-0003", "CVE-2026-0004"))
    nameless = of("1.0-3", release=Release())
    assert fixes_between(old, nameless, TRACKER).unknown == "the changelog of libone1 is not there"
    assert fixes_between(of("1-1", source="x"), of("1-2", source="x"), TRACKER).unknown != ""


@pytest.mark.parametrize("text", ["", "[]", "{", '{"one": 1}', "null"])
def test_a_file_that_is_no_copy_of_the_trackers_data_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "it").write_text(text)
    with pytest.raises(BadTracker, match="not a copy"):
        read_tracker(tmp_path / "it")
    with pytest.raises(BadTracker, match="cannot be read"):
        read_tracker(tmp_path / "nowhere")


def test_what_is_kept_of_a_version_comes_back_and_nothing_else_does() -> None:
    known = (of("1.0-2", ENTRIES[1:]), of("1.0-3", ENTRIES))
    assert from_json(to_json(known)) == known
    for content in (b"", b"{}", b"[1]", b"[[]]", b'[{"package": {}}]', to_json(known)[:-9], b"[" * 99999):
        with pytest.raises(ValueError):
            from_json(content)


def test_of_several_packages_with_one_content_the_newest_of_the_same_source_counts() -> None:
    known = (of("1.0-10", ENTRIES), of("1.0-9"), of("2.0-1", source="two"))
    assert newest(known, "one") == known[0]
    assert newest(known) == known[2] and newest(known, "three") == known[2]
    assert newest(()) is None


def test_a_release_says_plain_words_only() -> None:
    text = 'ID=debian\nVERSION_ID="12"\n# X=y\nVERSION_CODENAME=bookworm\n'
    assert release_in(text) == BOOKWORM
    assert release_in("ID='a b'\nVERSION_ID=\"\n=\nVERSION_CODENAME=x\x1b[31m\n") == Release()


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("3.0.17-1~deb12u2", "3.0.20-1~deb12u2", "3.0.17 → 3.0.20"),
        ("2.9.14+dfsg-1.3~deb12u4", "2.9.14+dfsg-1.3~deb12u6", "2.9.14+dfsg-1.3~deb12u4 → u6"),
        ("1.0-1", "1.0-2", "1.0-1 → 1.0-2"),
        ("1.0-1", "1.0-1+deb12u1", "1.0-1 → 1.0-1+deb12u1"),
        ("1.0-1+deb12u1", "1.0-1", "1.0-1+deb12u1 → 1.0-1"),
        ("1:2.0-1+deb12u9", "1:2.0-1+deb12u10", "1:2.0-1+deb12u9 → u10"),
        ("1.0-1", "1.0-1", "1.0-1"),
        ("?", "1.0", "? → 1.0"),
    ],
)
def test_two_versions_are_shown_by_what_differs(old: str, new: str, shown: str) -> None:
    assert shortened(old, new) == shown
