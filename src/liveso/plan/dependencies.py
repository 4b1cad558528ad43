"""Dependencies of a new version that are not loaded yet: the dynamic linker takes them from the disk."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from stat import S_ISREG

from liveso.elf import Image, read_image
from liveso.errors import LivesoError
from liveso.roots import inside, open_file, real_path, root_of, stat

_MOST = 64  # libraries that one version brings along


def hidden_dependencies(image: Image, path: str, loaded: Iterable[str]) -> list[str]:
    """Paths, as the target has them, of libraries that `image` needs, that are not loaded, and that only `$ORIGIN`
    leads to (ld.so(8)): the prepared copy lies in another folder.

    `path` is where the library itself lies.
    """
    present = {os.path.basename(name) for name in loaded}
    folders = _search_path(image, path, only_origin=True)
    missing = [name for name in image.needed if name not in present and "/" not in name]
    return [inside(found) for name in missing if (found := _first(folders, name))]


def new_dependencies(image: Image, path: str, loaded: Mapping[str, str]) -> list[Image]:
    """What `image`, which lies at `path`, brings along: the libraries that it needs, and those that these need, which
    are not among the ones `loaded`, that lead from names to paths.

    They are looked for where the dynamic linker would (ld.so(8)), as far as that is known: in the search paths of
    what needs them, and in the folders of what is loaded.
    """
    near = list(dict.fromkeys(os.path.dirname(it) for it in loaded.values() if it.startswith("/")))
    found: dict[str, Image] = {}
    waiting = [(image, path)]
    while waiting and len(found) < _MOST:
        needing, place = waiting.pop()
        for name in needing.needed:
            if name in loaded or name in found or "/" in name:
                continue
            file = _first([*_search_path(needing, place), *near], name)
            if file is None:
                continue
            try:
                with os.fdopen(open_file(file, os.O_RDONLY), "rb") as opened:
                    found[name] = read_image(opened.read())
            except (LivesoError, OSError):
                continue  # the dynamic linker says so itself
            waiting.append((found[name], file))
    return list(found.values())


def _search_path(image: Image, path: str, *, only_origin: bool = False) -> list[str]:
    root = root_of(path)
    with suppress(OSError):
        path = real_path(path)
    origin = inside(os.path.dirname(path))
    return [
        root + folder.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
        for folder in image.search_path.split(":")
        if folder and (not only_origin or "$ORIGIN" in folder or "${ORIGIN}" in folder)
    ]


def _first(folders: Iterable[str], name: str) -> str | None:
    return next((path for it in folders if _is_file(path := os.path.join(it, name))), None)


def _is_file(path: str) -> bool:
    try:
        return S_ISREG(stat(path).st_mode)
    except OSError:
        return False
