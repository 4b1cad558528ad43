"""Other users' daemons, whose answers root does not trust."""

import json
import math
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from liveso.client.answer import read_status
from liveso.client.others import Other, Places, ask_others, read_answer
from tests.harness import let_all_pass
from tests.listeners import http
from tests.users import ATTACKER, VICTIM, make_folder

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become other users")
SERVE = """
import os, socket, sys
os.setgroups([]); os.setresgid(user := int(sys.argv[2]), user, user); os.setresuid(user, user, user)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1]); listener.listen(); print("ready", flush=True)
answer = sys.stdin.buffer.read()
while True:
    caller, _address = listener.accept()
    print(caller.recv(65536).split(b"\\r\\n")[0].decode(), flush=True)
    if answer == b"slowly":
        while True:
            import time; caller.sendall(b" "); time.sleep(0.05)
    try: caller.sendall(answer)
    except OSError: pass
    caller.close()
"""


def folder_of(folder: Path, user: int) -> tuple[Path, Places]:
    let_all_pass(folder)
    own = make_folder(folder / f"liveso-{user}", user)
    return own, ((folder, re.compile(r"liveso-([0-9]+)$"), ""),)


@contextmanager
def daemon_of(user: int, own: Path, answer: bytes) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-c", SERVE, str(own / "liveso.sock.api"), str(user)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout
    try:
        process.stdin.write(answer)
        process.stdin.close()
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.wait()


def answer_with(*pids: int) -> bytes:
    library = {"path": "/lib/libx.so", "result": "updated", "in_force": True}
    targets = [{"pid": pid, "command": "all is well", "units": ["ssh.service"], "libraries": [library]} for pid in pids]
    return http({"targets": targets})


@as_root
def test_a_daemon_speaks_of_its_users_processes_only(tmp_path: Path) -> None:
    own, places = folder_of(tmp_path, VICTIM)
    as_victim = ["setpriv", f"--reuid={VICTIM}", f"--regid={VICTIM}", "--clear-groups", "sleep", "1000"]
    foreign, mixed = ["sleep", "1000"], ["setpriv", f"--euid={VICTIM}", "sleep", "1000"]
    started = [subprocess.Popen(it) for it in (as_victim, foreign, mixed)]
    try:
        theirs = started[0].pid
        while Path(f"/proc/{theirs}/comm").read_text() != "sleep\n":
            time.sleep(0.01)
        with daemon_of(VICTIM, own, answer_with(os.getpid(), 1, *(it.pid for it in started), 0, 1 << 40)):
            (other,) = ask_others(places)
    finally:
        for it in started:
            it.kill()
            it.wait()
    assert (other.user, other.problem) == (VICTIM, "")
    (target,) = other.targets
    assert target["pid"] == theirs and target["user"] == VICTIM
    assert target["command"] == "sleep 1000" and "ssh.service" not in target["units"]


@as_root
def test_whoever_else_listens_is_asked_nothing(tmp_path: Path) -> None:
    own, places = folder_of(tmp_path, VICTIM)
    with daemon_of(0, own, answer_with()) as listener:
        os.chown(own / "liveso.sock.api", VICTIM, VICTIM)
        assert ask_others(places) == [Other(VICTIM, problem="somebody else (root) listens at its socket")]
        listener.kill()
        assert listener.stdout and listener.stdout.read() in (b"", b"\n")


@as_root
def test_a_link_or_a_folder_of_somebody_else_leads_nowhere(tmp_path: Path) -> None:
    own, places = folder_of(tmp_path, VICTIM)
    with daemon_of(VICTIM, own, answer_with()):
        assert [it.user for it in ask_others(places)] == [VICTIM]
        link = tmp_path / f"liveso-{VICTIM + 1}"
        link.symlink_to(own)
        assert [it.user for it in ask_others(places)] == [VICTIM]
        os.chown(own, ATTACKER, ATTACKER)
        assert ask_others(places) == []


HOSTILE = [
    b"",
    b"SSH-2.0-OpenSSH\r\n",
    http(b"not json"),
    http([]),
    http({"targets": "none"}),
    http(b"[" * 100_000),
    http({"targets": []}, "500 Internal Server Error"),
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b" " * (33 << 20),
]


@as_root
@pytest.mark.parametrize("answer", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_answer_is_one_problem(tmp_path: Path, answer: bytes) -> None:
    own, places = folder_of(tmp_path, VICTIM)
    with daemon_of(VICTIM, own, answer):
        (other,) = ask_others(places)
    assert other == Other(VICTIM, problem="what listens at its socket does not answer as a daemon does")


@as_root
def test_one_that_never_ends_costs_the_limit_once(tmp_path: Path) -> None:
    own, places = folder_of(tmp_path, VICTIM)
    second = make_folder(tmp_path / f"liveso-{ATTACKER}", ATTACKER)
    with daemon_of(VICTIM, own, b"slowly"), daemon_of(ATTACKER, second, answer_with()):
        since = time.monotonic()
        found = ask_others(places, limit=1.0)
        assert time.monotonic() - since < 3
    assert [(it.user, it.problem) for it in found] == [(VICTIM, "does not answer within 1 s"), (ATTACKER, "")]


@as_root
def test_a_socket_that_nobody_listens_at_is_no_daemon(tmp_path: Path) -> None:
    own, places = folder_of(tmp_path, VICTIM)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(own / "liveso.sock.api"))
    os.chown(own / "liveso.sock.api", VICTIM, VICTIM)
    assert ask_others(places) == [] and threading.active_count() < 50


ODD: list[Any] = [None, True, -1, 1 << 80, math.inf, math.nan, "text" * 5000, [[["x"]]], {"a": {"b": 1}}]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_every_field_is_of_its_type_whatever_is_said(odd: Any) -> None:
    fields = ("path", "version", "result", "reason", "details", "changed", "stale_functions", "stale_threads", "file")
    library = dict.fromkeys((*fields, "in_force", "milliseconds", "versions_loaded", "waits_for", "unknown"), odd)
    names = ("pid", "command", "user", "note", "container", "units", "unknown")
    whole = {"targets": [{**dict.fromkeys(names, odd), "libraries": [library, odd]}, odd]}
    found = read_answer(json.dumps(whole).encode())
    (target, *_more) = read_status({"targets": found}).targets
    assert isinstance(target.pid, int) and 0 <= target.pid < 1 << 63
    assert all(isinstance(it, str) and len(it) <= 4096 for it in (target.command, target.note, *target.units))
    for it in target.libraries:
        texts = (it.path, it.reason, *it.details, *it.stale_functions, *it.waits_for)
        assert all(isinstance(text, str) and len(text) <= 4096 for text in texts)
        assert 0 <= it.changed < 1e12 and math.isfinite(it.milliseconds) and it.in_force is (odd is True)
    assert read_answer(json.dumps({"targets": odd if isinstance(odd, list) else []}).encode()) == []
