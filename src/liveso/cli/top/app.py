"""The screen of `liveso top`."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, Static

from liveso.cli.screen import STYLES
from liveso.cli.top.rows import Row, rows, why
from liveso.cli.top.windows import Asked, Told
from liveso.client.answer import ROLLED_BACK, UPDATED, Status
from liveso.errors import LivesoError
from liveso.services.acts import Acts
from liveso.services.by_service import services
from liveso.services.standing import sentence
from liveso.text import printable

_PAUSE = 1.0  # seconds
_COLUMNS = ("Service", "Processes", "Result", "Library", "Version", "Since", "Reason")
_SIGNS = {"refused": "✗", "failed": "!", "waiting": "?", "held back": "‖", "updated, but": "◐", "rolled back": "↩"}


class Top(App[None]):
    """What the daemon knows, asked once a second."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #sentence { padding: 0 1; text-style: bold; }
    #remark { padding: 0 1; height: auto; color: $text-muted; }
    #said { padding: 0 1; height: auto; max-height: 6; }
    #said.is-bad { color: $error; }
    DataTable { height: 1fr; margin-top: 1; }
    DataTable.is-old { opacity: 50%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w,enter", "why", "Why", key_display="w"),
        Binding("r", "roll_back", "Roll back"),
        Binding("f", "resume", "Forward again"),
        Binding("a", "allow", "Allow"),
        Binding("slash", "filter", "Filter", key_display="/", priority=True),  # before the keys that follow
        Binding("escape", "end_filter", show=False),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, acts: Acts) -> None:
        super().__init__()
        self._acts = acts
        self._status: Status | None = None
        self._wanted = ""
        self._rows: dict[str, Row] = {}
        self._shown: dict[str, tuple[Text, ...]] = {}

    def compose(self) -> ComposeResult:
        yield Static("Asking the daemon…", id="sentence", markup=False)
        yield Static("", id="remark", markup=False)
        field = Input(placeholder="a part of a service's or a library's name", id="filter")
        field.display = False
        yield field
        table: DataTable[Text] = DataTable(cursor_type="row", zebra_stripes=True)
        yield table
        yield Static("", id="said", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        self._table.add_columns(*_COLUMNS)
        self._table.focus()
        self.run_worker(self._look())

    @property
    def _main(self) -> Screen[object]:
        """The screen with the table, whatever window is over it."""
        return self.screen_stack[0]

    @property
    def _table(self) -> "DataTable[Text]":
        return self._main.query_one(DataTable)

    # --- what is seen

    async def _look(self) -> None:
        while True:
            start = time.monotonic()
            try:
                self._take(await asyncio.to_thread(self._acts.ask), "")
            except LivesoError as problem:
                self._take(None, str(problem))
            await asyncio.sleep(max(_PAUSE, time.monotonic() - start))

    def _take(self, status: Status | None, error: str) -> None:
        self._table.set_class(status is None, "is-old")
        if status is None:
            self._say("No daemon answers.", error)
            return
        self._status = status
        self._say(sentence([it.standing for it in services(status.targets)]), "; ".join(status.problems))
        self._show()

    def _say(self, sentence: str, remark: str) -> None:
        self._main.query_one("#sentence", Static).update(printable(sentence))
        self._main.query_one("#remark", Static).update(printable(remark))

    def _show(self) -> None:
        """Change what differs; all rows are made anew only where others came, or their order changed."""
        if self._status is None:
            return
        self._rows = {it.key: it for it in rows(self._status, self._wanted)}
        cells = {key: _cells(it) for key, it in self._rows.items()}
        if list(cells) == list(self._shown):
            for key, those in cells.items():
                for column, before, now in zip(self._table.columns, self._shown[key], those, strict=True):
                    if before != now:
                        self._table.update_cell(key, column, now, update_width=True)
        else:
            at = self._at()
            self._table.clear()
            for key, those in cells.items():
                self._table.add_row(*those, key=key)
            if at and at.key in cells:
                self._table.move_cursor(row=list(cells).index(at.key))
        self._shown = cells

    def _at(self) -> Row | None:
        """The row at which the cursor is."""
        keys = list(self._shown)
        number = self._table.cursor_row
        return self._rows.get(keys[number]) if 0 <= number < len(keys) else None

    # --- what is done

    def action_why(self) -> None:
        if row := self._at():
            title = f"{row.library} in {row.service.name}: {row.word}" if row.library else row.service.name
            self.push_screen(Told(title, why(row)))

    def on_data_table_row_selected(self) -> None:
        self.action_why()

    def action_roll_back(self) -> None:
        self._ask_for("rollback", "Take {} back to the version before", lambda it: it.word.startswith(UPDATED))

    def action_resume(self) -> None:
        self._ask_for("resume", "Let {} run what lies on disk again", lambda it: it.word == ROLLED_BACK)

    def action_allow(self) -> None:
        can = "Allow the version of {} that waits, in all processes that run the same one now"
        self._ask_for("allow", can, lambda it: it.word == "waiting")

    def _ask_for(self, act: str, question: str, is_possible: Callable[[Row], bool]) -> None:
        row = self._at()
        if row is None or not row.library or not is_possible(row):
            self._tell(["there is nothing of that kind to be done with this row"], is_bad=True)
            return
        name = printable(f"{row.library} in {row.service.name}")

        def answered(is_meant: bool | None) -> None:
            if is_meant:
                self.run_worker(self._act(act, row))

        self._tell([], is_bad=False)
        self.push_screen(Asked(f"{question.format(name)}?"), answered)

    async def _act(self, act: str, row: Row) -> None:
        try:
            question = {"service": row.service.key, "library": row.library}
            answer = await asyncio.to_thread(self._acts.act, act, question)
        except LivesoError as error:
            answer = {"said": [], "failed": [str(error)]}
        about = f"{row.library} in {row.service.name}: "
        texts = [about + text for text in (*answer["said"], *answer["failed"])]
        self._tell(texts, is_bad=bool(answer["failed"]))

    def _tell(self, texts: Sequence[str], *, is_bad: bool) -> None:
        """What came of the last act: it stays until the next one."""
        said = self._main.query_one("#said", Static)
        said.set_class(is_bad, "is-bad")
        said.update("\n".join(map(printable, texts)))

    # --- the filter

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        """A filter is for the table, not for a window over it."""
        return action != "filter" or len(self.screen_stack) == 1

    def action_filter(self) -> None:
        field = self._main.query_one("#filter", Input)
        field.display = True
        self.set_focus(field)  # at once: what is typed next is meant for it

    def on_input_changed(self, event: Input.Changed) -> None:
        self._wanted = event.value.strip()
        self._show()

    def on_input_submitted(self) -> None:
        self._table.focus()

    def action_end_filter(self) -> None:
        field = self._main.query_one("#filter", Input)
        field.value = ""
        field.display = False
        self._table.focus()


def _cells(row: Row) -> tuple[Text, ...]:
    style = STYLES.get(row.word, "")
    count = len(row.service.targets)
    many = str(count) if row.count in (0, count) else f"{row.count} of {count}"
    result = f"{_SIGNS.get(row.word, '✓')} {row.word}" if row.word else ""
    latest = row.latest
    since = time.strftime("%H:%M:%S", time.localtime(latest.changed)) if latest and latest.changed else ""
    texts = (row.service.name, many, result, row.library, latest.name if latest else "", since, row.text)
    return tuple(Text(printable(it), style if number == 2 else "") for number, it in enumerate(texts))
