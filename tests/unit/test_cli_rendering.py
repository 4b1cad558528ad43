"""What `liveso status` and `liveso why` make of a daemon's answer, on a terminal and in a pipe."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from liveso.client.answer import read_status
from liveso.services.blocks import blocks, choose
from liveso.text import printable
from tests.listeners import command, http, listening, on_terminal, uncoloured

LIBRARIES = "/usr/lib/x86_64-linux-gnu"
REASON = "12 functions witness that a member moved from +0x1d18 to +0x1d28: SSL_has_pending and others (and 28 more)"


def library(name: str, result: str = "current", **fields: Any) -> dict[str, Any]:
    return {"path": f"{LIBRARIES}/{name}", "version": name * 8, "build_id": "", "result": result, **fields}


def target(pid: int, command: str, *libraries: dict[str, Any], note: str = "") -> dict[str, Any]:
    return {"pid": pid, "command": command, "note": note, "libraries": list(libraries)}


CURRENT = [library(f"lib{number}.so.1") for number in range(17)]
SSL = library("libssl.so.3", "refused", reason=REASON, details=[REASON, "the second reason"])
CRYPTO = library("libcrypto.so.3", "held back", reason="it needs libssl.so.3, which is refused", waits_for=["/libssl"])
ZLIB = library("libz.so.1", "updated", milliseconds=12.4, stale_functions=("inflate", "crc32", "adler32"))
NGINX = [target(pid, "nginx: worker process", *CURRENT, ZLIB, CRYPTO, SSL) for pid in (814, 812, 813)]
OTHERS = [target(900 + number, f"/usr/bin/python3 /srv/app{number}.py", *CURRENT[:number]) for number in range(5, 8)]
APACHE = target(77, "/usr/sbin/apache2 -k start", note="it sees other files than the daemon (PrivateTmp)")
ANSWER = {"pid": 1, "version": "0.1.0", "problems": ["/opt/lib: not watched"], "targets": [*OTHERS, APACHE, *NGINX]}


@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_shows_first_what_asks_for_attention(tmp_path: Path, width: int) -> None:
    with listening(tmp_path, http(ANSWER)) as variables:
        shown = uncoloured(on_terminal(variables, width, "status"))
    lines = [line.rstrip() for line in shown.splitlines()]
    assert all(len(line) <= width for line in lines)
    assert lines[:4] == [
        "1 of 3 services needs a restart: nginx; 1 is not served: apache2",
        "problem: /opt/lib: not watched",
        "",
        "nginx: worker process — 3 processes: 812 813 814",
    ]
    body = shown.partition("812 813 814")[2]
    places = [body.index(text) for text in ("refused", "held back", "updated", "17 libraries current", "apache2")]
    assert places == sorted(places)
    assert "not served: it sees other files" in shown
    assert lines[-1] == "/usr/bin/python3 … — 3 processes: 905 906 907: 5 to 7 libraries current"
    assert "12 ms" not in shown and "old code of 3 functions" in " ".join(shown.split())
    assert REASON in " ".join(shown.split()) and "the second reason" not in shown


def test_everything_is_shown_to_whoever_asks(tmp_path: Path) -> None:
    with listening(tmp_path, http(ANSWER)) as variables:
        shown = uncoloured(on_terminal(variables, 120, "status", "--verbose"))
    assert shown.splitlines()[0].split()[1:5] == ["daemon", "of", "liveso", "0.1.0"]
    assert "the second reason" in shown and "updated in 12 ms" in shown and "waits for /libssl" in shown
    assert all(shown.count(f"{LIBRARIES}/lib{number}.so.1") == 4 for number in range(5))  # in four blocks
    assert "libraries current" not in shown


def test_a_pipe_gets_one_record_a_line(tmp_path: Path) -> None:
    with listening(tmp_path, http(ANSWER)) as variables:
        done = command({**variables, "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}, "status")
    records = [line.split("\t") for line in done.stdout.splitlines()]
    assert {len(it) for it in records} == {7}
    assert records[0] == ["-", "problem", "-", "-", "-", "-", "/opt/lib: not watched"]
    assert "\x1b" not in done.stdout
    refused = [it for it in records if it[1] == "refused"]
    assert [it[0] for it in refused] == ["814", "812", "813"]
    assert {tuple(it[2:4]) + tuple(it[5:]) for it in refused} == {
        (f"{LIBRARIES}/libssl.so.3", "libssl.so.3l", "nginx: worker process", REASON)
    }
    assert sum(it[1] == "held-back" for it in records) == 3
    assert sum(it[1] == "current" for it in records) == 3 * 17 + 5 + 6 + 7
    assert [it[5:] for it in records if it[1] == "not-served"] == [[APACHE["command"], APACHE["note"]]]


def test_colours_are_for_terminals_that_want_them(tmp_path: Path) -> None:
    with listening(tmp_path, http(ANSWER)) as variables:
        variables.pop("NO_COLOR", None)
        assert "\x1b[33m" in on_terminal(variables, 80, "status")
        assert "\x1b[3" not in on_terminal({**variables, "NO_COLOR": "1"}, 80, "status")


HOSTILE = (
    "\x1b[2J\x1b[H",
    "\r",
    "\nfake — process 1: 3 libraries current",
    "\x9b31m",
    "\u202e",
    "\t",
    "\x07",
    "\u2028",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_terminal_obeys_comes_through(tmp_path: Path, text: str) -> None:
    named = target(
        5, f"innocent{text}", library(f"lib{text}.so", "refused", reason=f"because{text}"), note=f"note{text}"
    )
    answer = {**ANSWER, "targets": [named], "problems": [f"problem{text}"]}
    ours = {"\n", "\t"}
    with listening(tmp_path, http(answer)) as variables:
        pipes = [command(variables, *it).stdout for it in (["status"], ["status", "-v"], ["why"], ["status", "--json"])]
        shown = [uncoloured(on_terminal(variables, 80, it)) for it in ("status", "why")]
    for printed in (*pipes, *shown):
        assert printed and all(it.isprintable() for it in printed if it not in ours)
        assert printable(text) in printed or json.dumps(text)[1:-1] in printed
    assert all(line.count("\t") in (0, 6) for line in pipes[0].splitlines())
    assert not any(line.startswith("fake") for printed in (*pipes, *shown) for line in printed.splitlines())


def test_a_library_is_never_there_twice(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    paths = [f"{tmp_path}/real/libx.so", f"{tmp_path}/link/libx.so"]
    twice = [
        {"path": path, "version": "a" * 64, "result": result} for path in paths for result in ("current", "refused")
    ]
    (read,) = read_status({"targets": [target(1, "program", *twice)]}).targets
    assert [(os.path.basename(it.path), it.result) for it in read.libraries] == [("libx.so", "refused")]
    other = [{"path": path, "version": path[-9], "result": "current"} for path in ("/a1/libx.so", "/b2/libx.so")]
    (read,) = read_status({"targets": [target(1, "program", *other)]}).targets
    assert len(read.libraries) == 2


def test_what_differs_is_not_put_together() -> None:
    many = [
        target(1, "nginx: worker", SSL),
        target(2, "nginx: worker", SSL),
        target(3, "nginx: worker", {**SSL, "reason": "another"}),
        target(4, "nginx: worker", ZLIB),
        target(5, "nginx: master", SSL),
        target(6, "sshd", SSL),
    ]
    targets = read_status({"targets": many}).targets
    assert [it.pids for it in blocks(targets, False)] == [(3,), (1, 2, 5), (6,), (4,)]
    assert [it.pids for it in blocks(targets, True)] == [(5,), (1, 2), (3,), (6,), (4,)]


def test_a_hundred_processes_fit_on_a_screen(tmp_path: Path) -> None:
    many = [target(1000 + number, f"postgres: client {number}", *CURRENT) for number in range(97)]
    with listening(tmp_path, http({"targets": [*many, *NGINX]})) as variables:
        assert len(on_terminal(variables, 80, "status").splitlines()) < 24


def test_a_part_of_the_name_chooses() -> None:
    targets = list(read_status(ANSWER).targets)
    assert [it.pid for it in choose(targets, "812")] == [812]
    assert [it.pid for it in choose(targets, "apache")] == [77]
    assert {len(it.libraries) for it in choose(targets, "libssl")} == {1}
    assert choose(targets, "nothing") == [] and choose(targets, "") == targets


def test_fields_that_a_daemon_does_not_know_may_be_left_out() -> None:
    answer = {"pid": 1, "targets": [{"pid": 2, "libraries": [{"path": "/lib/libx.so", "result": "something new"}]}]}
    (block,) = blocks(read_status(answer).targets, False)
    assert block.rows[0].latest.result == "something new"


WHY = [
    ({"targets": []}, "no process runs with live.so"),
    ({"targets": [target(1, "a", *CURRENT)]}, "nothing was refused: 17 libraries looked at, each as it lies on disk"),
    ({"targets": [target(1, "a")]}, "nothing was judged"),
    ({"targets": [target(1, "a", *CURRENT), APACHE]}, "not looked at: 1 process that is not served (see above)"),
    ({"targets": [target(1, "a", *CURRENT)], "problems": ["deaf"]}, "not looked at: what the problems concern"),
]


@pytest.mark.parametrize(("answer", "said"), WHY)
def test_why_says_no_more_than_is_known(tmp_path: Path, answer: dict[str, Any], said: str) -> None:
    with listening(tmp_path, http(answer)) as variables:
        lines = command(variables, "why").stdout.splitlines()
    assert said in lines[-1]
    assert lines[:-1] == [] or "nothing was refused" not in lines[-1]


@pytest.mark.parametrize("result", ["refused", "failed", "held back", "something new"])
def test_why_puts_together_what_has_the_same_reason(tmp_path: Path, result: str) -> None:
    it = {**SSL, "result": result}
    many = [target(pid, "nginx: worker process", *CURRENT, it) for pid in (3, 1, 2)] + [
        target(4, "curl x", it),
        *OTHERS,
    ]
    with listening(tmp_path, http({"targets": many})) as variables:
        lines = command(variables, "why").stdout.splitlines()
    assert lines == [
        f"{it['path']}, which runs libssl.so.3l: {result}",
        "  in nginx: worker process — 3 processes: 1 2 3",
        "  in curl x — process 4",
        f"    {REASON}",
        "    the second reason",
    ]


def test_what_was_rolled_back_says_so_wherever_it_is_shown(tmp_path: Path) -> None:
    reason = "rolled back at 2026-01-02 03:04:05: runs instead of build ID 0123456789ab, which lies on disk"
    back = library("libpng16.so.16", "rolled back", reason=reason, rolled_back_over="0" * 64, rolled_back_since=1.0)
    answer = {**ANSWER, "targets": [target(5, "viewer", ZLIB, back, *CURRENT)]}
    with listening(tmp_path, http(answer)) as variables:
        shown = uncoloured(on_terminal(variables, 200, "status"))
        records = [line.split("\t") for line in command(variables, "status").stdout.splitlines()]
        said = " ".join(command(variables, "why").stdout.split())
    assert shown.index("rolled back") < shown.index("updated") and reason in shown
    assert [(it[1], it[6]) for it in records if it[2].endswith("libpng16.so.16")] == [("rolled-back", reason)]
    assert "libpng16.so.16" in said and reason in said
