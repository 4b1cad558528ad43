"""The libraries in a package file (deb(5)), which is read once, and never unpacked as a whole."""

import os
import subprocess
import tarfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from liveso.dpkg.members import Member, chosen

_NICENESS = ["nice", "-n", "10"]


def libraries_of(archive: Path, wanted: Collection[str], folder: Path) -> Iterator[tuple[str, Path]]:
    """The libraries for `wanted` paths, as `chosen`. Nothing comes of an archive that cannot be read."""
    return chosen(_members(archive), wanted, folder)


def _members(archive: Path) -> Iterator[Member]:
    with (
        output_of(["dpkg-deb", "--fsys-tarfile", os.fspath(archive)]) as stream,  # an uncompressed tar archive
        tarfile.open(fileobj=stream, mode="r|") as files,
    ):
        for it in files:
            if it.issym():
                yield Member(it.name, link=it.linkname)
            elif it.isreg():
                yield Member(it.name, it.size, files.extractfile(it))


@contextmanager
def output_of(command: Sequence[str]) -> Iterator[IO[bytes]]:
    """What a command writes, which gives way to others and ends with the block."""
    process = subprocess.Popen(
        [*_NICENESS, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout
        yield process.stdout
    finally:
        process.kill()
        process.communicate()
