"""Dependencies that the dynamic linker cannot find by itself, because the prepared copy lies in another folder."""

import os
from collections.abc import Iterable
from pathlib import Path

from liveso.elf import Image


def hidden_dependencies(image: Image, path: str, loaded: Iterable[str]) -> list[str]:
    """Paths of libraries that `image` needs, that are not loaded, and that only `$ORIGIN` leads to (ld.so(8)).

    `path` is where the library itself lies.
    """
    present = {os.path.basename(name) for name in loaded}
    origin = os.path.dirname(os.path.realpath(path))
    folders = [
        folder.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
        for folder in image.search_path.split(":")
        if "$ORIGIN" in folder or "${ORIGIN}" in folder
    ]
    found = []
    for name in image.needed:
        if name not in present and "/" not in name:
            found.extend([str(Path(folder, name)) for folder in folders if Path(folder, name).is_file()][:1])
    return found
