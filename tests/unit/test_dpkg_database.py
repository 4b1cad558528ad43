"""Which package a file is from: dpkg's database below a root."""

import os
from pathlib import Path

from liveso.dpkg import Package, read_database, state_of

STATUS = """\
Package: libone1
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: one (2.0-1)
Version: 2.0-1+b2
Description: it
 Version: 9

Package: libone1
Status: install ok unpacked
Architecture: i386
Source: one
Version: 1.9-1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: tool
Status: install ok half-configured
Architecture: all
Version: 3.0
"""
MD5 = [f"{n:032x}" for n in range(9)]


def root(folder: Path, sums: dict[str, str], status: str = STATUS) -> str:
    info = folder / "var/lib/dpkg/info"
    info.mkdir(parents=True, exist_ok=True)
    (folder / "var/lib/dpkg/status").write_text(status)
    for name, lines in sums.items():
        (info / f"{name}.md5sums").write_text(lines)
    return str(folder)


def test_a_library_belongs_to_the_package_of_its_architecture_whichever_way_usr_is_named(tmp_path: Path) -> None:
    there = root(
        tmp_path,
        {
            "libone1:amd64": f"{MD5[1]}  usr/lib/x86_64-linux-gnu/libone.so.1.0\n{MD5[2]}  lib/a/libtwo.so\n",
            "libone1:i386": f"{MD5[3]}  usr/lib/i386-linux-gnu/libone.so.1.0\n",
        },
    )
    database = read_database(there)
    amd64 = Package("libone1", "2.0-1+b2", "amd64", "one", "2.0-1")
    for path in ("/usr/lib/x86_64-linux-gnu/libone.so.1.0", "/lib/x86_64-linux-gnu/libone.so.1.0"):
        owner = database.owner(there, path)
        assert owner and (owner.package, owner.md5) == (amd64, MD5[1])
    other = database.owner(there, "/usr/lib/i386-linux-gnu/libone.so.1.0")
    assert other and other.package == Package("libone1", "1.9-1", "i386", "one", "1.9-1")
    assert database.owner(there, "/usr/lib/a/libtwo.so") is not None
    assert database.owner(there, "/opt/usr/lib/a/libtwo.so") is None
    assert database.owner(there, "/usr/lib/x86_64-linux-gnu/libone.so.1") is None  # a link, which is never asked for


def test_what_is_not_in_its_place_any_more_belongs_to_nobody(tmp_path: Path) -> None:
    there = root(tmp_path, {"gone": f"{MD5[1]}  usr/lib/libgone.so.1\n", "unheard-of": f"{MD5[2]}  usr/lib/libx.so\n"})
    database = read_database(there)
    assert database.owner(there, "/usr/lib/libgone.so.1") is None
    assert database.owner(there, "/usr/lib/libx.so") is None


def test_a_program_is_found_by_its_whole_path(tmp_path: Path) -> None:
    there = root(tmp_path, {"tool": f"{MD5[4]}  usr/sbin/tool\n{MD5[5]}  usr/share/doc/usr/sbin/tools\n"})
    owner = read_database(there).owner(there, "/usr/sbin/tool")
    assert owner and (owner.package.name, owner.md5) == ("tool", MD5[4])
    assert read_database(there).owner(there, "/sbin/tool") == owner
    assert read_database(there).owner(there, "/usr/sbin/too") is None


def test_what_a_hostile_root_has_in_its_place_is_passed_over(tmp_path: Path) -> None:
    there = root(tmp_path, {"libone1:amd64": f"{MD5[1]}  usr/lib/libone.so.1\n"})
    info = tmp_path / "var/lib/dpkg/info"
    os.mkfifo(info / "tool.md5sums")
    (info / "a.md5sums").symlink_to("/etc/passwd")
    (info / "b.md5sums").mkdir()
    assert read_database(there).owner(there, "/usr/lib/libone.so.1")


def test_the_state_changes_with_either_part_of_the_database(tmp_path: Path) -> None:
    there = root(tmp_path, {})
    before = state_of(there)
    assert state_of(there) == before
    (tmp_path / "var/lib/dpkg/info/new.md5sums").write_text("")
    after = state_of(there)
    assert after != before
    os.rename(tmp_path / "var/lib/dpkg/status", tmp_path / "old")
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    assert state_of(there) != after
