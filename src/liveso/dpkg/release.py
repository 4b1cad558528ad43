"""The distribution below a root (os-release(5))."""

import re
import shlex
from contextlib import suppress
from dataclasses import dataclass

from liveso.dpkg.reading import read

_FILES = "/etc/os-release", "/usr/lib/os-release"
_LARGEST = 64 << 10  # bytes
_WORD = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Release:
    """`debian`, `12`, `bookworm`; what is not said is empty."""

    id: str = ""
    number: str = ""
    name: str = ""


def read_release(root: str) -> Release:
    for path in _FILES:
        with suppress(OSError):
            return release_in(read(root + path, _LARGEST).decode(errors="replace"))
    return Release()


def release_in(text: str) -> Release:
    """What a file says. It may be a container's: what is no plain word is left out."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            with suppress(ValueError):
                fields[name] = " ".join(shlex.split(value))
    return Release(*(_word(fields.get(it, "")) for it in ("ID", "VERSION_ID", "VERSION_CODENAME")))


def _word(text: str) -> str:
    return text if _WORD.fullmatch(text) else ""
