"""Small files below a root that may be a container's: whatever lies there, reading it neither waits nor takes long."""

import os
import stat
from collections.abc import Iterator

from liveso.roots import open_file

_FLAGS = os.O_RDONLY | os.O_NONBLOCK  # a FIFO is opened at once, and then not read


def read(path: str, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes. Raises OSError."""
    return _content(open_file(path, _FLAGS), path, most)


def read_below(folder: int, name: str, most: int) -> bytes:
    """The same for a file in an open folder, which must not be a link. Raises OSError."""
    return _content(os.open(name, _FLAGS | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), name, most)


def blocks_below(folder: int, names: list[str], most: int) -> Iterator[tuple[str, bytes]]:
    """The files in an open folder that can be read, until they are `most` bytes together."""
    for name in names:
        try:
            content = read_below(folder, name, most)
        except OSError:
            continue
        most -= len(content)
        yield name, content


def _content(descriptor: int, name: str, most: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or info.st_size > most:
            raise OSError(f"{name}: not a regular file of at most {most} bytes")
        return file.read(most)
