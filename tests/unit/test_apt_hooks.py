"""What apt tells its hooks, what they take out of packages, and what they say."""

import os
import subprocess
from pathlib import Path

import pytest

from liveso.cli.after_unpacking import lines
from liveso.dpkg import archives_in, libraries_of
from liveso.services.packages import read_packages
from tests.apt_root import build_package
from tests.package_answers import NEW, OLD, answer, row

HEADER = ["VERSION 3", "APT::Architecture=amd64", "Dir=/with%20/slashes", ""]
FOLDER = "usr/lib/x86_64-linux-gnu"


def test_the_files_of_all_protocols_are_found() -> None:
    three = [
        "libone1 1.0-1 amd64 same < 1.0-2 amd64 same /var/cache/apt/archives/libone1_1.0-2_amd64.deb",
        "libone1 1.0-1 amd64 same < 1.0-2 amd64 same **CONFIGURE**",
        "gone 1 all none > - - none **REMOVE**",
        "new - - none < 1 all none /media/a disk/new_1_all.deb",
    ]
    files = ["/var/cache/apt/archives/libone1_1.0-2_amd64.deb", "/media/a disk/new_1_all.deb"]
    assert archives_in(it + "\n" for it in [*HEADER, *three]) == files
    two = ["VERSION 2", "a=/b", "", "libone1 1.0-1 < 1.0-2 /var/cache/apt/archives/libone1_1.0-2_amd64.deb"]
    assert archives_in(two) == files[:1]
    assert archives_in(files) == files  # version 1
    assert archives_in([]) == [] and archives_in(HEADER[:-1]) == []


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A package with a library under its link, another one, a program, and a link that leads nowhere."""
    for name in ("one", "two", "other"):
        (tmp_path / name).write_text(f"content of {name}")
    files: dict[str, Path | str] = {
        f"{FOLDER}/libone.so.1": "libone.so.1.9.1",
        f"{FOLDER}/libone.so.1.9.1": tmp_path / "one",
        f"{FOLDER}/libtwo.so.2": tmp_path / "two",
        f"{FOLDER}/engines/libone.so.1": tmp_path / "other",
        f"{FOLDER}/libgone.so.1": f"/{FOLDER}/libgone.so.1.0",
        f"{FOLDER}/libround.so.1": "libround.so.1",
        "usr/bin/libone": tmp_path / "other",
    }
    return build_package(tmp_path, "libone1", "1.9", files, [("1.9", "x")])


def test_libraries_are_taken_out_of_a_package_by_the_paths_that_processes_have(archive: Path, tmp_path: Path) -> None:
    wanted = [f"/lib/x86_64-linux-gnu/{it}" for it in ("libone.so.1", "libgone.so.1", "libround.so.1", "libnew.so.1")]
    wanted.append("/usr/lib/x86_64-linux-gnu/libtwo.so.2")
    (tmp_path / "copies").mkdir()
    found = {path: copy.read_text() for path, copy in libraries_of(archive, wanted, tmp_path / "copies")}
    assert found == {wanted[0]: "content of one", wanted[-1]: "content of two"}
    assert len(list((tmp_path / "copies").iterdir())) == 2  # nothing else was written


def test_a_damaged_package_and_none_at_all_bring_nothing(archive: Path, tmp_path: Path) -> None:
    content = archive.read_bytes()
    (tmp_path / "copies").mkdir()
    for damaged in (content[: len(content) // 2], b"", b"!<arch>\n"):
        archive.write_bytes(damaged)
        assert list(libraries_of(archive, ["/lib/x86_64-linux-gnu/libnowhere.so.1"], tmp_path / "copies")) == []
    assert list(libraries_of(tmp_path / "nowhere.deb", ["/lib/libone.so.1"], tmp_path / "copies")) == []


def test_what_is_in_force_comes_first_and_names_its_services_and_cves() -> None:
    units = {1: "nginx.service", 2: "nginx.service", 3: "redis.service", 4: ""}
    rows = [row(pid, "/lib/libssl.so.3", OLD, NEW, NEW) for pid in (1, 2, 3)]
    rows.append(row(4, "/lib/libssl.so.3", OLD, OLD, NEW, "refused", "struct ssl_st grew"))
    assert lines(read_packages(answer(units, *rows))) == [
        "libssl3 3.0.17 → 3.0.20 in force: nginx (2 processes), redis (1)   "
        "CVE-2026-0001, CVE-2026-0002, CVE-2026-10000",
        "libssl3 3.0.17 → 3.0.20 not in force: x (1 process): struct ssl_st grew; end and start x again",
    ]


def test_a_package_is_in_force_only_with_all_its_libraries() -> None:
    rows = [
        row(1, "/lib/libcrypto.so.3", OLD, NEW, NEW),
        row(1, "/lib/libssl.so.3", OLD, OLD, NEW, "refused", "struct ssl_st grew"),
    ]
    found = answer({1: "postgresql@15-main.service"}, *rows)
    assert lines(read_packages(found)) == [
        "libssl3 3.0.17 → 3.0.20 not in force: postgresql@15-main (1 process): libssl.so.3: struct ssl_st grew; "
        "`systemctl restart postgresql@15-main` brings it"
    ]
    assert [it.fixed.cves for it in read_packages(found)] == [(), ()]


def test_the_cure_is_that_of_what_the_process_belongs_to() -> None:
    refused = [row(1, "/lib/libssl.so.3", OLD, OLD, NEW, "refused", "no")]
    manager = f"user@{os.geteuid()}.service"
    for target, text in (
        (
            {"units": [manager, "app.slice", "editor.service"]},
            "`systemctl --user restart editor` brings it",
        ),
        ({"units": [manager, "init.scope"]}, "`systemctl --user daemon-reexec` brings it"),
        ({"units": ["docker.service"], "container": "4f5e"}, "restart the container 4f5e"),
        ({"units": ["user.slice", "user-0.slice", "session-3.scope"]}, "root logs out of session-3"),
        ({"units": ["system.slice", "dbus.service"]}, "reboot: dbus.service is not to be restarted by itself"),
        ({"units": ["system.slice", "gdm.service"]}, "`systemctl restart gdm` brings it (ends sessions)"),
    ):
        found = answer({1: ""}, *refused)
        found["targets"][0] |= target
        assert lines(read_packages(found))[0].endswith(f"no; {text}")


def test_nothing_changed_is_nothing_said() -> None:
    assert lines(read_packages({"targets": [], "packages": {}})) == []
    assert lines(read_packages(answer({1: ""}))) == []


def test_the_hooks_that_are_installed_are_what_apt_understands() -> None:
    dump = ["apt-config", "-c", "packaging/apt/50liveso", "dump"]
    shown = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
    for name, hook in (("Pre-Install-Pkgs", "before-unpacking"), ("Post-Invoke", "after-unpacking")):
        (line,) = (it for it in shown.splitlines() if f"/usr/bin/liveso {hook}" in it)
        assert line.startswith(f'DPkg::{name}:: "test ! -x /usr/bin/liveso || timeout ') and line.endswith('|| true";')
