"""Which libraries of a target are kept up to date, and which version of each it runs."""

import os
import re
from bisect import bisect_right
from collections.abc import Sequence

from liveso.process import LoadedObject
from liveso.process.agent_file import is_agent
from liveso.process.memory_map import Mapping as MappedPart
from liveso.settings import is_served
from liveso.store import Store

_NEVER = re.compile(r"(ld-linux[^/]*|ld64|libc|live)\.so(\.\d+)*$|^ld-linux|^libc-\d")
_KERNELS = re.compile(r"linux-(vdso|gate)\d*\.so")


def is_from_disk(it: LoadedObject, store: Store) -> bool:
    """Whether the process loaded this object from a file by itself: not what the kernel brings, live.so, or a copy in
    the store."""
    name = os.path.basename(it.name)
    return not _KERNELS.match(name) and not is_agent(name) and store.version_of(it.name) is None


def why_fixed(path: str, ignore: tuple[str, ...], only: tuple[str, ...]) -> str:
    """Why the library at `path` is left as it is; empty for one that is kept up to date."""
    if _NEVER.search(os.path.basename(path)):
        return "is never updated"
    return "" if is_served(path, ignore, only) else "is left as it is (LIVE_IGNORE, LIVE_ONLY)"


def mapping_of(it: LoadedObject, mappings: Sequence[MappedPart], starts: Sequence[int]) -> MappedPart | None:
    """The mapping that an object's program headers lie in; `starts` are those of all mappings, in order."""
    index = bisect_right(starts, it.headers) - 1
    return mappings[index] if index >= 0 and it.headers < mappings[index].end else None
