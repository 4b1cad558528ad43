"""What `liveso top` shows over its table: reasons, and questions."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from liveso.text import printable


class Told(ModalScreen[None]):
    """A title, and paragraphs."""

    CSS = """
    Told { align: center middle; }
    Told > VerticalScroll { width: 90%; max-width: 110; height: auto; max-height: 85%; padding: 1 2; }
    Told > VerticalScroll { border: round $primary; background: $surface; }
    Told Static { margin-bottom: 1; }
    Told .title { text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,w,enter", "dismiss", "Close", key_display="Esc")]

    def __init__(self, title: str, paragraphs: Sequence[str]) -> None:
        super().__init__()
        self._paragraphs = (title, *paragraphs)

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            for number, text in enumerate(self._paragraphs):
                yield Static(printable(text), markup=False, classes="" if number else "title")


class Asked(ModalScreen[bool]):
    """A question that is answered by y or n."""

    CSS = """
    Asked { align: center middle; }
    Asked > Vertical { width: 80; max-width: 90%; height: auto; padding: 1 2; }
    Asked > Vertical { border: round $warning; background: $surface; }
    Asked .keys { margin-top: 1; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,q", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(printable(self._question), markup=False)
            yield Static("y: yes   n: no", markup=False, classes="keys")

    def action_answer(self, is_meant: bool) -> None:
        self.dismiss(is_meant)
