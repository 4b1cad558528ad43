"""Messages about what happened: what they hold, and what becomes of one that cannot be sent."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from liveso.daemon import notifying
from liveso.daemon.notifying import Notifier, message, send
from liveso.daemon.supervision import Supervisor
from liveso.history import Event, Kind

_EVENT = Event(
    Kind.REFUSED,
    1000.0,
    library="/lib/libz\udcff.so.1",
    pids=(1,),
    command="/usr/sbin/web -x",
    units=("web.service",),
    reason="struct z grew",
)


def test_a_message_has_text_for_people_and_events_for_programs() -> None:
    told = json.loads(message([_EVENT, replace(_EVENT, pids=(2,))], left_out=3))
    assert told["text"] == "liveso: libz\\xff.so.1: refused in web.service: struct z grew"  # once
    assert [it["pids"] for it in told["events"]] == [[1], [2]]
    assert told["events"][0]["kind"] == "refused" and told["left_out"] == 3


def test_of_very_many_the_text_names_some() -> None:
    told = json.loads(message([replace(_EVENT, reason=str(it)) for it in range(50)]))
    assert told["text"].count("\n") == 10 and told["text"].endswith("\nand 40 more")
    assert len(told["events"]) == 50


def test_a_command_gets_it_on_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "told it"
    assert send(f"/bin/sh -c 'cat >> \"{file}\"'", b"hello") == ""
    assert file.read_bytes() == b"hello"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("/nonexistent/tell", "No such file"),
        ("/bin/sh -c 'echo no way >&2; exit 3'", "it ended with 3: no way"),
        ("/bin/false", "it ended with 1"),
        ("http://127.0.0.1:9/", "refused"),
    ],
)
def test_what_goes_wrong_is_said(command: str, reason: str) -> None:
    problem = send(command, b"x" * 1_000_000)
    assert reason in problem and "nobody was told" in problem


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    got: list[tuple[str, bytes]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/broken" else 204)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_gets_json_by_post(webhook: tuple[str, list[tuple[str, bytes]]]) -> None:
    address, got = webhook
    assert send(f"{address}/hook", b"{}") == ""
    assert got == [("application/json", b"{}")]
    assert "500" in send(f"{address}/broken", b"{}")


def test_an_answer_that_is_no_http_is_a_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            caller, _address = listener.accept()
            with caller:
                caller.recv(1 << 16)
                caller.sendall(b"SSH-2.0-x\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        problem = send(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"{}")
        thread.join()
    assert "nobody was told" in problem and "SSH-2.0-x" in problem


def test_what_happens_at_once_is_one_message_and_only_what_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "_GATHERED", 0.05)
    file = tmp_path / "told"
    settings: Any = SimpleNamespace(notify=f"/bin/sh -c 'cat >> {file}'", notify_on=("refused", "failed"))

    async def happen() -> list[str]:
        supervisor = Supervisor()
        notifier = Notifier(settings, supervisor)
        for kind in (Kind.REFUSED, Kind.UPDATED, Kind.FAILED):
            notifier.note(replace(_EVENT, kind=kind))
        for _attempt in range(600):
            await asyncio.sleep(0.05)
            if file.exists() and file.read_text().endswith("\n"):
                break
        return supervisor.problems

    assert asyncio.run(happen()) == []
    (line,) = file.read_text().splitlines()
    assert [it["kind"] for it in json.loads(line)["events"]] == ["refused", "failed"]


def test_a_command_that_fails_is_a_problem_until_one_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(notifying, "_GATHERED", 0.01)
    switch = tmp_path / "works"
    settings: Any = SimpleNamespace(notify=f"/bin/sh -c 'test -e {switch}'", notify_on=("refused",))

    async def happen() -> tuple[list[str], list[str]]:
        supervisor = Supervisor()
        notifier = Notifier(settings, supervisor)
        seen = []
        for makes in (False, True):
            if makes:
                switch.touch()
            before = len(supervisor.problems)
            notifier.note(_EVENT)
            for _attempt in range(600):
                await asyncio.sleep(0.05)
                if len(supervisor.problems) != before:
                    break
            seen.append(supervisor.problems)
        return seen[0], seen[1]

    first, second = asyncio.run(happen())
    assert "it ended with 1" in first[0] and second == []
