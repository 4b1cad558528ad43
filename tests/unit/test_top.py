"""`liveso top`: its rows, and its screen under textual's pilot."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from liveso.cli.top.app import Top
from liveso.cli.top.rows import rows, why
from liveso.cli.top.windows import Asked, Told
from liveso.client.answer import Status, read_status
from liveso.errors import NoDaemon
from liveso.services.acts import Acts
from tests.made_up import NEW, library, status, target

LIMIT = 60.0  # seconds
WHY = "a member moved from +0x0 to +0x8"
REFUSED = library("libssl.so.3", "refused", reason=WHY, details=[WHY, "an object changed"], refused_version=NEW)
UPDATED = library("libz.so.1", "updated")
WAITING = library("libxml2.so.2", "waiting", waiting_version=NEW)


class Daemon:
    """What is asked, and told to do."""

    def __init__(self, *targets: dict[str, Any]) -> None:
        self.status = read_status(status(*targets))
        self.is_there = True
        self.orders: list[tuple[str, dict[str, str]]] = []

    def ask(self) -> Status:
        if not self.is_there:
            raise NoDaemon("no daemon answers at /run/x")
        return self.status

    def order(self, path: str, question: dict[str, str], _wait: float) -> dict[str, Any]:
        self.orders.append((path, question))
        return {"libraries": [{"path": "x", "build_id": "cafecafecafe", "running": [1]}], "pids": [1]}

    def try_out(self, trial: Callable[[Top, Pilot[None]], Awaitable[None]]) -> None:
        async def run() -> None:
            app = Top(Acts(self.ask, self.order))
            async with app.run_test(size=(140, 30)) as pilot:
                await trial(app, pilot)

        asyncio.run(run())


async def until(pilot: Pilot[None], condition: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, what
        await pilot.pause(0.01)


def sentence(app: Top) -> str:
    return str(app.screen_stack[0].query_one("#sentence", Static).render())


def said(app: Top) -> str:
    return str(app.screen_stack[0].query_one("#said", Static).render())


def shown(app: Top) -> list[list[str]]:
    table = app.screen_stack[0].query_one(DataTable)
    return [[str(it) for it in table.get_row_at(number)] for number in range(table.row_count)]


def test_loud_libraries_have_rows_and_quiet_services_one() -> None:
    known = read_status(
        status(
            target(1, "a.service", library("x.so"), library("y.so")),
            target(2, "b.service", REFUSED, UPDATED, library("y.so")),
            target(3, "b.service", library("libssl.so.3")),
            target(4, "c.service", note="it runs under valgrind"),
        )
    )
    found = [(it.service.name, it.word, it.count, it.library, it.text) for it in rows(known)]
    assert found == [
        ("b.service", "refused", 1, "libssl.so.3", WHY),
        ("b.service", "updated", 1, "libz.so.1", ""),
        ("c.service", "", 0, "", "not served: it runs under valgrind"),
        ("a.service", "", 0, "", "2 libraries as on disk"),
    ]
    assert [it.library for it in rows(known, "SSL")] == ["libssl.so.3"]
    assert [it.service.name for it in rows(known, "x.so")] == ["a.service"]
    assert why(rows(known)[0])[:2] == [WHY, "an object changed"]


def test_it_follows_what_changes_and_keeps_the_cursor() -> None:
    daemon = Daemon(target(1, "a.service", UPDATED), target(2, "b.service", UPDATED))

    async def trial(app: Top, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(shown(app)) == 2, "two rows")
        assert sentence(app) == "All 2 services run what is on disk."
        await pilot.press("down")
        daemon.status = read_status(
            status(target(3, "z.service", REFUSED), target(1, "a.service", UPDATED), target(2, "b.service", UPDATED))
        )
        await until(pilot, lambda: len(shown(app)) == 3, "three rows")
        assert sentence(app) == "1 of 3 services needs a restart."
        assert shown(app)[0][:4] == ["z.service", "1", "✗ refused", "libssl.so.3"]
        assert shown(app)[app.query_one(DataTable).cursor_row][0] == "b.service"

    daemon.try_out(trial)


def test_w_says_why_with_every_reason_as_plain_text() -> None:
    bad = "[red]not markup[/red] \x1b[2J"
    one = library("libssl.so.3", "refused", reason=bad, details=[bad, "and more"])

    async def trial(app: Top, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: shown(app), "a row")
        assert shown(app)[0][6] == "[red]not markup[/red] \\x1b[2J"
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, Told), "the reasons")
        texts = [str(it.render()) for it in app.screen.query(Static)]
        assert texts[:3] == [
            "libssl.so.3 in [b].service: refused",
            "[red]not markup[/red] \\x1b[2J",
            "and more",
        ]
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Told), "that they are closed")

    Daemon(target(1, "[b].service", one)).try_out(trial)


def test_rolling_back_and_allowing_ask_first() -> None:
    daemon = Daemon(target(1, "a.service", WAITING), target(2, "b.service", UPDATED))

    async def trial(app: Top, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(shown(app)) == 2, "rows")
        await pilot.press("r")  # nothing to be taken back there
        await until(pilot, lambda: "nothing of that kind" in said(app), "that it says so")
        assert not isinstance(app.screen, Asked)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, Asked), "a question")
        await pilot.press("n")
        await pilot.press("down", "r")
        await until(pilot, lambda: isinstance(app.screen, Asked), "a question")
        assert daemon.orders == []
        await pilot.press("y")
        await until(pilot, lambda: said(app) == "libz.so.1 in b.service: 1 process runs cafecafecafe now", "the answer")
        await pilot.press("up", "a")
        await until(pilot, lambda: isinstance(app.screen, Asked), "a question")
        await pilot.press("y")
        await until(pilot, lambda: len(daemon.orders) == 2, "that it is done")

    daemon.try_out(trial)
    assert daemon.orders == [
        ("/rollback", {"library": UPDATED["path"], "version": "", "pids": "2", "wait": "30.0"}),
        ("/allow", {"library": WAITING["path"], "version": NEW}),
    ]


def test_it_waits_for_a_daemon_that_has_gone() -> None:
    daemon = Daemon(target(1, "a.service", UPDATED))
    daemon.is_there = False

    async def trial(app: Top, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: sentence(app) == "No daemon answers.", "that there is none")
        assert "/run/x" in str(app.query_one("#remark", Static).render())
        daemon.is_there = True
        await until(pilot, lambda: len(shown(app)) == 1, "a row")
        daemon.is_there = False
        await until(pilot, lambda: app.query_one(DataTable).has_class("is-old"), "that it is old")
        assert len(shown(app)) == 1

    daemon.try_out(trial)


def test_the_filter_leaves_what_is_asked_for() -> None:
    async def trial(app: Top, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(shown(app)) == 2, "rows")
        await pilot.press("slash", *"redis")
        await until(pilot, lambda: len(shown(app)) == 1, "one row")
        assert shown(app)[0][0] == "redis.service"
        await pilot.press("escape")
        await until(pilot, lambda: len(shown(app)) == 2, "rows")

    Daemon(target(1, "a.service", UPDATED), target(2, "redis.service", UPDATED)).try_out(trial)
