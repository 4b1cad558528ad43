"""Standard output for people: folded to a terminal's width, with colours; elsewhere as it is, one thing a line."""

import sys
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from liveso.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Part = str | tuple[str, str]
"""Text, or text and its style in rich's words."""
_NARROWEST = 20  # columns
_PLAIN_WIDTH = 120  # columns, where there is no terminal
STYLES = {
    "refused": "yellow",
    "failed": "red",
    "waiting": "yellow",
    "held back": "yellow",
    "rolled back": "cyan",
    "updated": "green",
    "updated, but": "yellow",
}
"""How the results look."""


class Screen:
    """Where a command prints. What it is given is made printable; rich is loaded only for a terminal, and heeds
    NO_COLOR, TERM and COLUMNS."""

    def __init__(self) -> None:
        self.is_terminal = sys.stdout is not None and sys.stdout.isatty()

    def line(self, *parts: Part, indent: int = 0, hang: int = 0) -> None:
        """A line; one that is too long for the terminal goes on below its beginning, `hang` columns further in."""
        if not self.is_terminal:
            print(" " * indent + "".join(_plain(it) for it in parts))
            return
        width = max(_NARROWEST, self._console.width - indent - hang)
        for number, part in enumerate(_joined(parts).wrap(self._console, width)):
            part.pad_left(indent + (hang if number else 0))
            self._console.print(part, soft_wrap=True)

    def rows(self, rows: Sequence[Sequence["Part | Text"]], indent: int = 0) -> None:
        """Rows in columns, of which only the last one is folded. For terminals."""
        from rich.padding import Padding
        from rich.table import Table

        grid = Table.grid(padding=(0, 2, 0, 0))
        for column in range(len(rows[0])):
            is_last = column == len(rows[0]) - 1
            grid.add_column(no_wrap=not is_last, overflow="fold")
        for row in rows:
            grid.add_row(*(it if not isinstance(it, str | tuple) else _joined([it]) for it in row))
        self._console.print(Padding(grid, (0, 0, 0, indent), expand=False))

    @property
    def width(self) -> int:
        """The columns of a line that people read at a glance."""
        return self._console.width if self.is_terminal else _PLAIN_WIDTH

    @cached_property
    def _console(self) -> "Console":
        from rich.console import Console

        return Console(highlight=False, markup=False, emoji=False)


def _plain(part: Part) -> str:
    return printable(part if isinstance(part, str) else part[0])


def _joined(parts: Sequence[Part]) -> "Text":
    from rich.text import Text

    text = Text()
    for it in parts:
        text.append(_plain(it), None if isinstance(it, str) else it[1])
    return text
