"""Which files of a package are the libraries that processes use, whatever form the package has."""

import posixpath
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tarfile import TarError
from typing import Protocol

from liveso.dpkg.paths import merged

_LARGEST = 1 << 30  # bytes of one library
_MOST_LINKS = 8  # that follow each other


class Content(Protocol):
    """What a file has in it, from its beginning to its end, once."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Member:
    """A file or a symbolic link of a package; its content can be read until the next member is taken."""

    path: str
    size: int = 0
    content: Content | None = None
    link: str = ""


def chosen(members: Iterable[Member], wanted: Collection[str], folder: Path) -> Iterator[tuple[str, Path]]:
    """The files that will lie at the `wanted` paths, or that links of the package there lead to, each with the copy of
    it made below `folder`. /lib and /usr/lib are the same. What a package cannot be read any further from is its end.

    A library's file mostly has another name in each version, to which the link leads by which it is loaded. So all
    files are taken that lie in the same folder and are called the same up to `.so`, and the links then tell.
    """
    names = {merged(it): it for it in wanted}
    alike = {_stem(it) for it in names}
    copies: dict[str, Path] = {}
    links: dict[str, str] = {}
    with suppress(OSError, TarError, EOFError):
        for it in members:
            name = merged(it.path)
            if _stem(name) not in alike:
                continue
            if it.link:
                links[name] = merged(posixpath.join(posixpath.dirname(it.path), it.link))
            elif it.content and it.size <= _LARGEST:
                copy = folder / f"{len(copies)}.so"
                _copy(it.content, copy)
                copies[name] = copy
    for name, path in names.items():
        target = name
        for _link in range(_MOST_LINKS):
            target = links.get(target, target)
        if target in copies:
            yield path, copies[target]


def _stem(path: str) -> str:
    return path.partition(".so")[0]


def _copy(content: Content, path: Path) -> None:
    with path.open("xb") as file:
        while block := content.read(1 << 20):
            file.write(block)
