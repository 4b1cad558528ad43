"""Debian packages: which versions there are, and the shared libraries inside, without installing anything."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from liveso.elf import Image, read_image
from liveso.errors import ImageError, PackageError


@dataclass(frozen=True, slots=True)
class PackageLibrary:
    """A shared library in a package: its SONAME, or its file name where it has none, and where it lies."""

    name: str
    path: Path
    image: Image


def installed_version(package: str) -> str:
    """Raises PackageError where the package is not installed."""
    shown = _run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", package], f"{package} is not installed")
    if not shown.startswith("ii "):
        raise PackageError(f"{package} is not installed; name two versions: {package}=OLD {package}=NEW")
    return shown[3:].strip()


def candidate_version(package: str) -> str:
    """The version that apt would install. Raises PackageError where apt knows none."""
    shown = _run(["apt-cache", "policy", package], "apt cannot be asked")
    version = next((line.split()[1] for line in shown.splitlines() if line.startswith("  Candidate:")), "(none)")
    if version == "(none)":
        raise PackageError(f"apt knows no package {package}; run apt-get update, or check the name")
    return version


def unpack(package: str, version: str, cache: Path, options: Sequence[str] = ()) -> Path:
    """Download one version of a package with apt, and unpack it below `cache`, once. Returns the folder.

    `options` are given to apt-get. Raises PackageError where apt does not offer it.
    """
    folder = cache / f"{package.replace(':', '_')}_{version}"
    if folder.exists():
        return folder
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        problem = f"apt offers no {package} {version}; run apt-get update, or see `apt-cache madison {package}`"
        _run(["apt-get", *options, "download", "-qq", f"{package}={version}"], problem, partial)
        archive = next(partial.glob("*.deb"), None)
        if archive is None:
            raise PackageError(problem)
        _run(["dpkg-deb", "-x", archive.name, "."], f"{package} {version} cannot be unpacked", partial)
        archive.unlink()
        partial.rename(folder)
    except OSError as error:
        raise PackageError(f"{cache}: {os.strerror(error.errno or 0)}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def libraries_in(folder: Path) -> list[PackageLibrary]:
    """The shared libraries below a folder that other objects can be linked to, or load by name."""
    return list(_libraries(sorted(path for path in folder.rglob("*.so*") if path.is_file() and not path.is_symlink())))


def installed_libraries(package: str) -> list[PackageLibrary]:
    """The shared libraries of a package that is installed, where they lie."""
    listed = _run(["dpkg-query", "-L", package], f"{package} is not installed").splitlines()
    paths = (Path(line) for line in listed if ".so" in line)
    return list(_libraries(sorted(path for path in paths if path.is_file() and not path.is_symlink())))


def _libraries(paths: list[Path]) -> Iterator[PackageLibrary]:
    for path in paths:
        try:
            image = read_image(path.read_bytes())
        except (ImageError, OSError):
            continue  # a linker script, a debug file
        yield PackageLibrary(image.soname or path.name, path, image)


def _run(command: Sequence[str], problem: str, folder: Path | None = None) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise PackageError(
            f"{command[0]} is not here: packages can be checked on Debian and its relatives only"
        ) from error
    if done.returncode != 0:
        raise PackageError(problem)
    return done.stdout
