"""What docs/ says in tables, as data: the settings, and the exit codes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_DOCS = Path(__file__).parents[2] / "docs"
_DECISION = re.compile(r" ?\(\[decisions/[^]]*\]\([^)]*\)\)")  # is not among what is installed
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
_CELLS = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of docs/settings.md. `name` is empty where the configuration file has no such setting."""

    variable: str
    name: str
    default: str
    meaning: str


def settings() -> list[Setting]:
    return [Setting(*row) for row in _rows("settings.md", "| variable |")]


def exit_codes() -> list[tuple[str, str]]:
    """Each code and its meaning."""
    return [(code, meaning) for code, meaning in _rows("commands.md", "| code |")]


def _rows(file: str, head: str) -> Iterator[list[str]]:
    """The rows of the table that begins with `head`."""
    lines = iter((_DOCS / file).read_text(encoding="utf-8").splitlines())
    for line in lines:
        if line.startswith(head):
            next(lines)  # what parts the head from the rows
            break
    for line in lines:
        if not line.startswith("|"):
            return
        yield [_plain(cell.strip()) for cell in _CELLS.split(line)[1:-1]]


def _plain(text: str) -> str:
    text = _LINK.sub(r"\1", _DECISION.sub("", text))
    return text.replace("`", "").replace("\\|", "|")
