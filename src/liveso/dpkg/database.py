"""Which package a file is from, by dpkg's database below a root (dpkg(1), /var/lib/dpkg).

The database names each file with the MD5 of what the package brought (deb-md5sums(5); dpkg computes what a package does
not have). So a file is known by its path and its content together: one that somebody changed, or that dpkg has yet to
put in its place, is nobody's.
"""

import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from liveso.dpkg.paths import merged
from liveso.dpkg.reading import blocks_below, read
from liveso.roots import open_file, stat

_STATUS, _INFO = "/var/lib/dpkg/status", "/var/lib/dpkg/info"
_SUFFIX = ".md5sums"
_LARGEST_STATUS = 64 << 20  # bytes
_MOST_SUMS = 256 << 20  # bytes
# only libraries are kept: a machine has some 100,000 other files
_LIBRARY = re.compile(rb"^([0-9a-f]{32})  (\S*\.so[^/\s]*)$", re.MULTILINE)
_FIELD = re.compile(r"^(Package|Status|Architecture|Source|Version): (.*)$", re.MULTILINE)
_SOURCE = re.compile(r"(\S+)(?: \((\S+)\))?$")
_THERE = frozenset({"installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"})
"""The states in which a package's files are those of its version (dpkg(1), "Package states")."""

_NOT_PACKAGED = ("/tmp/", "/var/tmp/", "/home/", "/usr/local/", "/run/", "/dev/", "/proc/", "/mnt/", "/media/")

State = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Package:
    """A binary package in one version, and the source package that it was built from."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str


@dataclass(frozen=True, slots=True)
class Owner:
    """The package that a file belongs to, and the MD5 of the file as the package brought it, in hexadecimal."""

    package: Package
    md5: str


@dataclass(frozen=True, slots=True)
class Database:
    """The packages below a root, by what dpkg calls their files, and their libraries, by path as `merged` makes it."""

    packages: Mapping[str, Package]
    libraries: Mapping[str, Owner]

    def owner(self, root: str, path: str) -> Owner | None:
        """The package of the file at `path`, which has no symbolic links and is as processes of that root know it.
        Raises OSError."""
        name = merged(path)
        found = self.libraries.get(name)
        return found if found or _is_called_like_a_library(name) else self._search(root, name)

    def _search(self, root: str, name: str) -> Owner | None:
        """A file that is called like no library: a program."""
        plain = re.escape(os.fsencode(name.lstrip("/")))
        line = re.compile(rb"^([0-9a-f]{32})  ((?:usr/)?" + plain + rb")$", re.MULTILINE)
        for file, content in _sums(root):
            found = line.search(content)
            package = self.packages.get(file.removesuffix(_SUFFIX))
            if found and package and merged(os.fsdecode(found[2])) == name:
                return Owner(package, found[1].decode())
        return None


def may_be_packaged(path: str) -> bool:
    """Whether a package may have files there: not below what is the users' or the administrator's (FHS 3.0)."""
    return not path.startswith(_NOT_PACKAGED)


def _is_called_like_a_library(path: str) -> bool:
    return ".so" in posixpath.basename(path)


def state_of(root: str) -> State:
    """What changes whenever the database does. Raises OSError where there is none."""
    found = [stat(root + it) for it in (_STATUS, _INFO)]
    return tuple((it.st_dev, it.st_ino, it.st_mtime_ns) for it in found)


def read_database(root: str) -> Database:
    """The database below a root, `/proc/PID/root` or empty for the daemon's own. Raises OSError where there is none."""
    packages = _packages(read(root + _STATUS, _LARGEST_STATUS).decode(errors="replace"))
    libraries: dict[str, Owner] = {}
    for file, content in _sums(root):
        package = packages.get(file.removesuffix(_SUFFIX))
        if package and b".so" in content:
            for md5, path in _LIBRARY.findall(content):
                libraries[merged(os.fsdecode(path))] = Owner(package, md5.decode())
    return Database(packages, libraries)


def _sums(root: str) -> list[tuple[str, bytes]]:
    folder = open_file(root + _INFO, os.O_RDONLY | os.O_DIRECTORY)
    try:
        names = [it for it in os.listdir(folder) if it.endswith(_SUFFIX)]
        return list(blocks_below(folder, sorted(names), _MOST_SUMS))
    finally:
        os.close(folder)


def _packages(status: str) -> dict[str, Package]:
    """The packages whose files are in their places, by what dpkg calls their files: with the architecture where several
    can be installed, and by the bare name. Read by hand, for a parser of all fields takes a second for a machine."""
    found: dict[str, Package] = {}
    for paragraph in status.split("\n\n"):
        fields = dict(_FIELD.findall(paragraph))
        name, version = fields.get("Package", ""), fields.get("Version", "")
        if not name or not version or fields.get("Status", "").rpartition(" ")[2] not in _THERE:
            continue
        source = _SOURCE.match(fields.get("Source", "")) or _SOURCE.match(name)
        architecture = fields.get("Architecture", "")
        package = Package(name, version, architecture, source[1] if source else name, (source and source[2]) or version)
        found[f"{name}:{architecture}"] = package
        found.setdefault(name, package)
    return found
