"""Where separate debug information of a library may lie (GDB manual, "Separate Debug Files"; dwz(1))."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from liveso.elf import Image, read_sections
from liveso.errors import ImageError


@dataclass(frozen=True, slots=True)
class DebugSource:
    """Where debug information is looked for: folders like /usr/lib/debug, the folders that the old and the new version
    lie in, if they lie in any, and whether a debuginfod server is asked (debuginfod(8), DEBUGINFOD_URLS)."""

    folders: tuple[str, ...] = ("/usr/lib/debug",)
    origins: tuple[str, str] = ("", "")
    ask_server: bool = False

    @property
    def asks(self) -> bool:
        """Whether there is a server to ask."""
        return self.ask_server and bool(os.environ.get("DEBUGINFOD_URLS"))

    def link_folders(self, origin: str) -> tuple[str, ...]:
        """Where the file that a debug link names is looked for, for a library that lies in `origin`."""
        return (origin, f"{origin}/.debug", *(folder + origin for folder in self.folders)) if origin else ()


def debug_files(image: Image, source: DebugSource, origin: str) -> dict[str, tuple[int, int]]:
    """The separate debug files of `image` that are there, supplementary ones, too, by path, with size in bytes and time
    of the last change in nanoseconds."""
    found: dict[str, tuple[int, int]] = {}
    for path in _candidates(image, source, origin):
        state = _state(path)
        if state:
            found[path] = state
            for supplement in _supplements(path, source):
                state = _state(supplement)
                if state:
                    found[supplement] = state
    return found


def _candidates(image: Image, source: DebugSource, origin: str) -> Iterator[str]:
    yield from _by_build_id(image.build_id, source)
    section = image.section(".gnu_debuglink")
    if section is not None and section.has_bytes:
        name = os.fsdecode(image.section_bytes(section).partition(b"\0")[0])
        yield from (f"{folder}/{name}" for folder in source.link_folders(origin))


def _by_build_id(build_id: str, source: DebugSource) -> Iterator[str]:
    if build_id:
        yield from (f"{folder}/.build-id/{build_id[:2]}/{build_id[2:]}.debug" for folder in source.folders)


def _supplements(path: str, source: DebugSource) -> Iterator[str]:
    """Where the file may be that several debug files share: `.gnu_debugaltlink` has its name and build ID."""
    try:
        content = Path(path).read_bytes()  # a regular file, as `_state` has it
        section = next((it for it in read_sections(content) if it.name == ".gnu_debugaltlink"), None)
    except (OSError, ImageError):
        return
    link = content[section.offset : section.offset + section.size] if section and section.has_bytes else b""
    name, _zero, build_id = link.partition(b"\0")
    if name:
        yield os.path.normpath(os.path.join(os.path.dirname(os.path.realpath(path)), os.fsdecode(name)))
        yield from _by_build_id(build_id.hex(), source)


def _state(path: str) -> tuple[int, int] | None:
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return None
    return (state.st_size, state.st_mtime_ns) if stat.S_ISREG(state.st_mode) else None
