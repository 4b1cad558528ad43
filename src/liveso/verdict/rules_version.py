"""What a verdict depends on besides the files that it is about."""

from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files

_PACKAGES = tuple(f"liveso.{name}" for name in ("machine", "elf", "code", "debug", "compare", "verdict"))
_READERS = ("capstone", "drgn", "pyelftools")


@cache
def rules_version() -> str:
    """A hash that changes with every change of the code that judges, so that no verdict of other rules is taken for one
    of these."""
    content = sha256()
    for package in _PACKAGES:
        for source in sorted(files(package).iterdir(), key=lambda it: it.name):
            if source.name.endswith(".py"):
                content.update(source.read_bytes())
    for reader in _READERS:
        content.update(f"{reader} {version(reader)}\n".encode())
    return content.hexdigest()
