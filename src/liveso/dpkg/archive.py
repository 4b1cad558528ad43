"""The libraries in a package file (deb(5)), which is read once, and never unpacked as a whole."""

import os
import posixpath
import subprocess
import tarfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from liveso.dpkg.paths import merged

_LARGEST = 1 << 30  # bytes of one library
_NICENESS = ["nice", "-n", "10"]


def libraries_of(archive: Path, wanted: Collection[str], folder: Path) -> Iterator[tuple[str, Path]]:
    """The files that will lie at the `wanted` paths, or that links of the package there lead to, each with the copy of
    it made below `folder`. /lib and /usr/lib are the same. Nothing comes of an archive that cannot be read.

    A library's file mostly has another name in each version, to which the link leads by which it is loaded. So all
    files are taken that lie in the same folder and are called the same up to `.so`, and the links then tell.
    """
    names = {merged(it): it for it in wanted}
    alike = {_stem(it) for it in names}
    copies: dict[str, Path] = {}
    links: dict[str, str] = {}
    with (
        suppress(OSError, tarfile.TarError, EOFError),
        _contents(archive) as stream,
        tarfile.open(fileobj=stream, mode="r|") as files,
    ):
        for it in files:
            name = merged(it.name)
            if _stem(name) not in alike:
                continue
            if it.issym():
                links[name] = merged(posixpath.join(posixpath.dirname(it.name), it.linkname))
            elif it.isreg() and it.size <= _LARGEST and (content := files.extractfile(it)):
                copies[name] = folder / f"{len(copies)}.so"
                _copy(content, copies[name])
    for name, path in names.items():
        target = name
        for _link in range(8):
            target = links.get(target, target)
        if target in copies:
            yield path, copies[target]


def _stem(path: str) -> str:
    return path.partition(".so")[0]


@contextmanager
def _contents(archive: Path) -> Iterator[IO[bytes]]:
    """The uncompressed tar archive inside a package, as dpkg-deb writes it."""
    command = [*_NICENESS, "dpkg-deb", "--fsys-tarfile", os.fspath(archive)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout
        yield process.stdout
    finally:
        process.kill()
        process.communicate()


def _copy(content: IO[bytes], path: Path) -> None:
    with path.open("xb") as file:
        while block := content.read(1 << 20):
            file.write(block)
