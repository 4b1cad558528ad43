"""The libraries in a package file of rpm's, whose content rpm2cpio(8) writes as a cpio archive (cpio(5), "New ASCII
Format"). It is read once, and never unpacked as a whole."""

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

from liveso.dpkg import Member, chosen, output_of

_MAGICS = b"070701", b"070702"  # the second one has checksums; rpm writes another form for files of 4 GiB and more
_HEADER = 110  # bytes: the magic, and 13 numbers of 8 hexadecimal digits
_MODE, _SIZE, _NAME_SIZE = 1, 6, 11  # which number is what
_END = "TRAILER!!!"
_LONGEST = 4096  # bytes of a path


def libraries_of(archive: Path, wanted: Collection[str], folder: Path) -> Iterator[tuple[str, Path]]:
    """The libraries for `wanted` paths, as `chosen`. Nothing comes of an archive that cannot be read."""
    return chosen(_members(archive), wanted, folder)


def _members(archive: Path) -> Iterator[Member]:
    with output_of(["rpm2cpio", os.fspath(archive)]) as stream:
        yield from members(stream)


def members(stream: IO[bytes]) -> Iterator[Member]:
    """The files and links in a cpio archive. Of a file with several names the last one has the content. Raises EOFError
    where the archive ends, or is none."""
    while True:
        header = _exactly(stream, _HEADER)
        try:
            numbers = [int(header[at : at + 8], 16) for at in range(6, _HEADER, 8)]
        except ValueError:
            raise EOFError("no cpio archive") from None
        if header[:6] not in _MAGICS or not 0 < numbers[_NAME_SIZE] <= _LONGEST:
            raise EOFError("no cpio archive")
        size, mode = numbers[_SIZE], numbers[_MODE]
        name = os.fsdecode(_exactly(stream, numbers[_NAME_SIZE]).rstrip(b"\0"))
        _exactly(stream, -(_HEADER + numbers[_NAME_SIZE]) % 4)  # everything begins at multiples of 4
        if name == _END:
            return
        content = _Content(stream, size)
        if stat.S_ISLNK(mode) and size <= _LONGEST:
            yield Member(name, link=os.fsdecode(content.read(size)))
        elif stat.S_ISREG(mode) and size:
            yield Member(name, size, content)
        while content.read(1 << 20):
            pass
        _exactly(stream, -size % 4)


class _Content:
    """The next bytes of a stream."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int, /) -> bytes:
        block = _exactly(self._stream, min(size, self._left))
        self._left -= len(block)
        return block


def _exactly(stream: IO[bytes], size: int) -> bytes:
    block = stream.read(size) if size else b""
    if len(block) != size:
        raise EOFError("the archive ends in the middle")
    return block
