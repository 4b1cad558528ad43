"""What Debian offers: programs with all that they need, and the old and the new files of the libraries that change."""

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import CalledProcessError

from debian.debian_support import Version

from bench.backtest.releases import Release
from bench.compatibility.subject import Change
from bench.locks import locked
from liveso.packages import libraries_in, unpack

_ARCHITECTURE = "amd64"
# these stay the machine's own, or are of use to an installed system only
_LEFT_OUT = ("libc6", "libc-", "libgcc-s1", "libperl", "libpam-modules", "libcap2-bin")


class NotOffered(Exception):
    """The archive does not offer what a subject needs."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """One library that changes, by its SONAME: both versions of its package, and both files."""

    library: str
    before: str
    after: str
    old: Path
    new: Path

    @property
    def is_unchanged(self) -> bool:
        return self.old.read_bytes() == self.new.read_bytes()


@dataclass(frozen=True)
class Offers:
    """The archive as it is now, with everything that is taken from it kept below `folder`."""

    folder: Path

    @cache  # noqa: B019, there is one for a run
    def release(self, name: str) -> Release:
        """A release whose lists are fresh. Raises NotOffered where they cannot be fetched."""
        found = Release(name, _ARCHITECTURE, self.folder / f"{name}-{_ARCHITECTURE}")
        try:
            found.refresh()
        except CalledProcessError as error:
            raise NotOffered(f"the lists of {name} cannot be fetched") from error
        return found

    def replacements(self, change: Change) -> tuple[Replacement, ...]:
        """The files of a change. Raises NotOffered where there are no two versions, PackageError where one is not to be
        had."""
        found = []
        for package in change.packages:
            before = change.before or self._versions(change.old_release, package)[0]
            after = change.after or self._versions(change.release, package)[-1]
            if before == after:
                raise NotOffered(f"{change.release} offers one version of {package}, {before}")
            old, new = (
                {it.name: it.path for it in libraries_in(self._unpacked(release, package, version))}
                for release, version in ((change.old_release, before), (change.release, after))
            )
            found += [
                Replacement(name, before, after, old[name], new[name])
                for name in change.libraries
                if name in old and name in new
            ]
        if missing := set(change.libraries) - {it.library for it in found}:
            raise NotOffered(f"both versions of {', '.join(change.packages)} do not contain {', '.join(missing)}")
        return tuple(found)

    def _unpacked(self, release: str, package: str, version: str) -> Path:
        packages = self.folder / "packages"
        with locked(packages):
            return unpack(package, version, packages, self.release(release).options)

    def version(self, release: str, package: str) -> str:
        return self._versions(release, package)[-1]

    def _versions(self, release: str, package: str) -> list[str]:
        shown = _run(["apt-cache", *self.release(release).options, "madison", package])
        found = {line.split("|")[1].strip() for line in shown.splitlines()}
        if not found:
            raise NotOffered(f"{release} offers no {package}")
        return sorted(found, key=Version)

    def root(self, release: str, packages: tuple[str, ...]) -> Path:
        """A folder in which `packages` and the libraries that they need are unpacked together. Raises NotOffered."""
        wanted = self._with_dependencies(release, packages)
        name = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:16]
        root = self.folder / "roots" / f"{release}-{packages[0]}-{name}"
        with locked(root):
            if not root.exists():
                self._make_root(root, release, wanted)
        return root

    def _make_root(self, root: Path, release: str, wanted: list[str]) -> None:
        partial, archives = root.with_name(f".{root.name}"), root.with_name(f".{root.name}.archives")
        for folder in (partial, archives):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        for usr in ("lib", "bin", "sbin"):  # packages of older releases have files in both places
            (partial / "usr" / usr).mkdir(parents=True, exist_ok=True)
            (partial / usr).symlink_to(f"usr/{usr}")
        _run(["apt-get", *self.release(release).options, "download", "-qq", *wanted], archives)
        for archive in sorted(archives.glob("*.deb")):
            content = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE)
            _run(["tar", "-x", "--keep-directory-symlink", "--no-same-owner"], partial, stdin=content.stdout)
            if content.wait() != 0:
                raise NotOffered(f"{archive.name} cannot be unpacked")
        shutil.rmtree(archives)
        partial.rename(root)

    def _with_dependencies(self, release: str, packages: tuple[str, ...]) -> list[str]:
        """`packages` and the libraries that they need, with their versions, as apt would install them on an empty
        system."""
        nothing = self.folder / "nothing-installed"
        nothing.touch()
        options = (*self.release(release).options, "-o", f"Dir::State::status={nothing}")
        shown = _run(["apt-get", *options, "--simulate", "--no-install-recommends", "install", *packages])
        words = [line.replace("(", "").split() for line in shown.splitlines() if line.startswith("Inst ")]
        return sorted(
            f"{name}={version}"
            for _inst, name, version, *_rest in words
            if name in packages or (name.startswith("lib") and not name.startswith(_LEFT_OUT))
        )


def _run(command: list[object], folder: Path | None = None, stdin: object = None) -> str:
    done = subprocess.run(
        [str(it) for it in command],
        cwd=folder,
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,  # type: ignore[call-overload]
    )
    if done.returncode != 0:
        raise NotOffered(f"{command[0]} fails: {done.stderr.strip()[-300:]}")
    return str(done.stdout)
