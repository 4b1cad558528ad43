"""Dependencies of a new version that are not loaded yet: the dynamic linker takes them from the disk."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from liveso.elf import Image, read_image
from liveso.errors import LivesoError

_MOST = 64  # libraries that one version brings along


def hidden_dependencies(image: Image, path: str, loaded: Iterable[str]) -> list[str]:
    """Paths of libraries that `image` needs, that are not loaded, and that only `$ORIGIN` leads to (ld.so(8)): the
    prepared copy lies in another folder.

    `path` is where the library itself lies.
    """
    present = {os.path.basename(name) for name in loaded}
    folders = _search_path(image, path, only_origin=True)
    missing = [name for name in image.needed if name not in present and "/" not in name]
    return [found for name in missing if (found := _first(folders, name))]


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
                found[name] = read_image(Path(file).read_bytes())
            except (LivesoError, OSError):
                continue  # the dynamic linker says so itself
            waiting.append((found[name], file))
    return list(found.values())


def _search_path(image: Image, path: str, *, only_origin: bool = False) -> list[str]:
    origin = os.path.dirname(os.path.realpath(path))
    return [
        folder.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
        for folder in image.search_path.split(":")
        if folder and (not only_origin or "$ORIGIN" in folder or "${ORIGIN}" in folder)
    ]


def _first(folders: Iterable[str], name: str) -> str | None:
    return next((str(Path(folder, name)) for folder in folders if Path(folder, name).is_file()), None)
