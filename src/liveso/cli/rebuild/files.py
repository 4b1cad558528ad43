"""Files in the watched folders: which may be sources, and what they hold."""

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from stat import S_ISREG

from liveso.cli.rebuild.sources import Change, Content

_OUTPUT = re.compile(
    r"\.(o|so|a|lo|la|obj|dwo|gch|pch|py[co]|log|tmp|swp|swo|swx|orig|rej)$|\.so\.[0-9.]+$|~$|^#|^4913$"
)
_FOLDERS = {"__pycache__", "node_modules"}
_CACHE = "CACHEDIR.TAG"  # what tools like cargo put into a folder that they can fill again (bford.info/cachedir)
_LATE = 0.5  # seconds that a change may be told late, which counts for what is gone and has no time of its own
_MOST_READ = 8 << 20  # bytes: what is larger is no source
_MAGIC = (b"\x7fELF", b"!<arch>\n", b"!<thin>\n", b"\0asm")


def may_be_source(root: Path, path: Path) -> bool:
    """Whether the name of what lies below a watched `root`, or the root itself, is not one of what builds and editors
    write."""
    try:
        parts = path.relative_to(root).parts
    except ValueError:
        return False
    if any(it.startswith(".") for it in parts) or any(it in _FOLDERS for it in parts[:-1]):
        return False
    if parts and _OUTPUT.search(parts[-1]):
        return False
    return not any((folder / _CACHE).exists() for folder in path.parents if folder.is_relative_to(root))


def files_below(root: Path) -> Iterator[str]:
    """The files that may be sources."""
    if root.is_file():
        yield str(root)
    for folder, folders, names in os.walk(root):
        if _CACHE in names:
            folders.clear()
            continue
        folders[:] = [it for it in folders if not it.startswith(".") and it not in _FOLDERS]
        yield from (os.path.join(folder, it) for it in names if not it.startswith(".") and not _OUTPUT.search(it))


def not_ignored(root: Path, paths: Collection[str]) -> set[str]:
    """Those of `paths` that git does not ignore; all of them, where there is no git, or `root` is itself ignored."""
    folder = root if root.is_dir() else root.parent
    ignored = _ignored(folder, [str(root), *paths])
    return set(paths) if str(root) in ignored else set(paths) - ignored


def _ignored(folder: Path, paths: Iterable[str]) -> set[str]:
    command = ["git", "-C", str(folder), "check-ignore", "-z", "--stdin"]
    try:
        done = subprocess.run(
            command, input=b"\0".join(map(os.fsencode, paths)), capture_output=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return set()
    return {os.fsdecode(it) for it in done.stdout.split(b"\0") if it} if done.returncode == 0 else set()


def change_of(path: str) -> Change | None:
    """What became of a file; nothing where it is a folder, or may not be read."""
    try:
        # a named pipe is not waited for
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            stat = os.fstat(file.fileno())
            head = file.read(_MOST_READ) if S_ISREG(stat.st_mode) else None
    except (FileNotFoundError, NotADirectoryError):
        return Change(path, time.time() - _LATE, Content.GONE)
    except OSError:
        return None
    if head is None:
        return None
    # what the kernel stamps, and nobody sets: an editor or a copy may keep the time of the content
    changed = stat.st_ctime_ns / 1e9
    if head.startswith(_MAGIC):
        return Change(path, changed, Content.PRODUCT)
    content = Content.BINARY if b"\0" in head or stat.st_size > _MOST_READ else Content.TEXT
    return Change(path, changed, content, hashlib.sha256(head).digest())


def written_by(pids: Iterable[int]) -> set[str]:
    """The files that processes have open to be written: their logs, their saved games."""
    found = set()
    for pid in pids:
        try:
            for number in os.listdir(f"/proc/{pid}/fd"):
                flags = re.search(r"^flags:\s*(\d+)", Path(f"/proc/{pid}/fdinfo/{number}").read_text(), re.MULTILINE)
                if flags and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY:
                    found.add(os.readlink(f"/proc/{pid}/fd/{number}"))
        except OSError:  # it has ended, or is somebody else's
            continue
    return found
