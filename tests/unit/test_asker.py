"""Who asks, and the line in the system's log about what they did."""

import asyncio
import os
import pwd
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from liveso.daemon import asker, audit
from liveso.daemon.asker import person
from liveso.daemon.audit import line_of
from liveso.history import Event, Kind

_ME = pwd.getpwuid(os.geteuid()).pw_name
_ACT = Event(Kind.ROLLBACK, 1000.0, library="/lib/libz.so.1", pids=(7, 8), before="a" * 64, after="b" * 64, by="root")


def login(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asker, "Path", lambda _path: SimpleNamespace(read_text=lambda: text))


@pytest.mark.parametrize(
    ("said", "shown"),
    [("2", "root (bin by login)"), ("0", "root"), ("4294967295", "root"), ("-1", "root"), ("", "root"), ("x", "root")],
)
def test_a_person_is_who_asks_and_who_logged_in(said: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    login(said, monkeypatch)
    assert person("root", 12) == shown


def test_one_that_the_machine_does_not_know_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    login("54321", monkeypatch)
    assert person("alice", 12) == "alice (user 54321 by login)"


def test_a_process_that_has_ended_has_no_login() -> None:
    assert person("alice", 2**22) == "alice"


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)

    async def client() -> Any:
        configured = Config(lambda *_: None, http=asker.Asked, lifespan="off", log_config=None)
        configured.load()
        protocol = asker.Asked(configured, ServerState(), {})
        await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, ours)
        return protocol.client

    assert asyncio.run(client()) == (_ME, os.getpid())
    theirs.close()


def test_a_line_of_the_system_log_cannot_be_broken_by_a_name() -> None:
    line = line_of(Event(Kind.ALLOWED, 1.0, library="/tmp/a\nroot: all is well\udcff.so", after="b" * 64, by="alice"))
    assert line == f"liveso: allowed of /tmp/a\\nroot: all is well\\udcff.so to {'b' * 64} by alice"


def test_what_a_person_did_is_in_the_system_log_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_SOCKET", str(tmp_path / "log"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "log"))
        journal.settimeout(60)
        audit.note(Event(Kind.UPDATED, 1.0, library="/lib/libz.so.1"))
        audit.note(_ACT)
        got = journal.recv(4096).decode()
        assert got == f"<86>liveso: rollback of /lib/libz.so.1 from {'a' * 64} to {'b' * 64} in 7, 8 by root"
        for _number in range(10_000):  # nobody reads, and it is not waited for
            audit.note(_ACT)


def test_where_nobody_listens_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_SOCKET", str(tmp_path / "none"))
    audit.note(_ACT)
