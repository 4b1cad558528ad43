"""A system with dnf, liveso and a library in three versions, as tests/apt_system.py has it with apt."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.apt_system import System, bare_system, files_of
from tests.harness import Bench

PLUGIN, CONFIGURATION = Path("packaging/dnf/liveso.py"), Path("packaging/dnf/liveso.conf")
PLUGINS = "usr/lib/python3/dist-packages/dnf-plugins"  # of Debian's dnf
DNF = "dnf", "-y", "--releasever=1", "--refresh"  # else what it read in the same second is news enough
_DATABASE = "%_dbpath /var/lib/rpm\n"  # Debian's rpm has one for each user
_REPOSITORY = "[probe]\nname=probe\nbaseurl=file:///repository\nenabled=1\ngpgcheck=0\n"
HOLD = "/opt/hold"  # while there is this file, rpm does not go on when it has put a package in its place
_SPEC = """
Name: {name}
Version: 1.0
Release: {number}
Summary: A probe
License: none
AutoReqProv: no
%description
A probe.
%install
mkdir -p %{{buildroot}}
cp -a {tree}/. %{{buildroot}}
%post -p <lua>
while posix.stat("{hold}") do posix.sleep(1) end
%files
/usr
"""
_AS_IT_IS = "__os_install_post %{nil}", "debug_package %{nil}", "_build_id_links none"  # files are not changed


@dataclass
class DnfSystem:
    """A system with dnf, and the folder in which the packages are."""

    system: System
    folder: Path

    def offer(self, number: int) -> None:
        """Let dnf know one version, and no other."""
        archive = self.folder / f"libprobe-1.0-{number}.x86_64.rpm"
        self.system.root.run("sh", "-c", "rm -rf /repository/*")
        self.system.root.write(f"repository/{archive.name}", archive.read_bytes())
        self.system.root.run("createrepo_c", "-q", "/repository")

    def dnf(self, *arguments: str) -> str:
        """Run dnf, and return all that it says."""
        command = self.system.root.command(*DNF, *arguments)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        return done.stdout


def build_rpm(folder: Path, name: str, number: int, files: Mapping[str, Path | str]) -> Path:
    """A package, version 1.0, with files or links."""
    tree = folder / f"{name}-{number}"
    for path, source in files.items():
        place = tree / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, Path):
            place.write_bytes(source.read_bytes())
        else:
            place.symlink_to(source)
    specification = folder / f"{name}-{number}.spec"
    specification.write_text(_SPEC.format(name=name, number=number, tree=tree, hold=HOLD))
    settings: dict[str, Path | str] = {"_topdir": folder / "rpmbuild", "_rpmdir": folder, "_dbpath": folder / "rpmdb"}
    settings |= {"_rpmfilename": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"}  # in no folder of the machine's
    defined = [*_AS_IT_IS, *(f"{key} {it}" for key, it in settings.items())]
    options = [word for it in defined for word in ("--define", it)]
    command = ["rpmbuild", "-bb", "--quiet", "--target", "x86_64", *options, str(specification)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return folder / f"{name}-1.0-{number}.x86_64.rpm"


@contextmanager
def dnf_system(bench: Bench) -> Iterator[DnfSystem]:
    """The library in its first version is installed, liveso's plugin is there, and nothing runs."""
    for number, files in files_of(bench):
        build_rpm(bench.folder, "libprobe", number, files)
    with bare_system(bench) as system:
        root = system.root
        root.run(
            "sh",
            "-c",
            f"rm -rf /etc/yum.repos.d/* /{PLUGINS}/* /var/lib/rpm/* /var/cache/dnf/* /var/lib/dnf/* /var/log/dnf*",
        )
        root.write("etc/rpm/macros", _DATABASE)
        root.write("etc/yum.repos.d/probe.repo", _REPOSITORY)
        root.write(f"{PLUGINS}/liveso.py", PLUGIN.read_text())
        root.write("etc/dnf/plugins/liveso.conf", CONFIGURATION.read_text())
        found = DnfSystem(system, bench.folder)
        found.offer(1)
        found.dnf("install", "libprobe")
        yield found
