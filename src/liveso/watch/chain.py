"""The directory entries that decide which file a path leads to."""

import os
from pathlib import PurePosixPath

from liveso.roots import inside, root_of
from liveso.withheld import NoAnswer, in_time

_MOST_LINKS = 40  # path_resolution(7)


def chain(path: str) -> frozenset[tuple[str, str]]:
    """Every `(directory, name)` that is looked up on the way to `path`, through all symbolic links, which lead nowhere
    but below the root that it is below (liveso.roots).

    Where the way ends early, because an entry is missing, that entry is the last. Behind one that does not come, none
    counts as a link.
    """
    entries: set[tuple[str, str]] = set()
    top = root_of(path) or "/"
    waiting = list(reversed(PurePosixPath(inside(path)).parts[1:]))
    folder, links, comes = top, 0, True
    while waiting:
        name = waiting.pop()
        if name == "..":
            folder = top if folder == top else os.path.dirname(folder)
            continue
        entries.add((folder, name))
        here = os.path.join(folder, name)
        try:
            target = _link_at(here) if comes else ""
        except FileNotFoundError:
            break
        except OSError as error:
            target, comes = "", not isinstance(error, NoAnswer)
        if not target:
            folder = here
            continue
        links += 1
        if links > _MOST_LINKS:
            break
        parts = PurePosixPath(target).parts
        if target.startswith("/"):
            folder, parts = top, parts[1:]
        waiting.extend(reversed(parts))
    return frozenset(entries)


def _link_at(path: str) -> str:
    return in_time(path, lambda: os.readlink(path))
