"""Asking the daemon: each way in which there is no answer has a sentence and an exit code of its own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from liveso.client.ask import ask_daemon
from liveso.errors import ExitCode, NoDaemon, NotPermitted
from liveso.settings import read_settings
from liveso.text import user_name
from tests.harness import LIVESO
from tests.listeners import LIMIT, command, environment, http, listening

NOBODY = 65534
ROOT = os.geteuid() == 0
EMPTY = {"pid": 1, "targets": []}


def fails(variables: dict[str, str], code: ExitCode, *texts: str) -> None:
    for subcommand in ("status", "why"):
        done = command(variables, subcommand)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith("liveso: ") and done.stderr.count("\n") == 1
        assert all(text in done.stderr for text in texts), done.stderr


def test_no_socket_and_a_socket_whose_daemon_has_ended_are_no_daemon(tmp_path: Path) -> None:
    variables = environment(tmp_path / "liveso.sock")
    fails(variables, ExitCode.NO_DAEMON, "no daemon answers", "there is no such socket", "`liveso daemon`")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "liveso.sock.api"))
    fails(variables, ExitCode.NO_DAEMON, "no daemon answers", "its daemon has ended")


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\x01nonsense\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        http(b"\xff{"),
        http(b"[]"),
    ],
    ids=["bytes", "another protocol", "no JSON", "no object"],
)
def test_what_is_no_daemon_but_answers_is_told(tmp_path: Path, answer: bytes) -> None:
    with listening(tmp_path, answer) as variables:
        fails(variables, ExitCode.NO_DAEMON, "is no daemon of liveso", f"pid {os.getpid()}")


def test_a_file_or_another_kind_of_socket_in_its_place_is_told(tmp_path: Path) -> None:
    path = tmp_path / "liveso.sock.api"
    path.write_text("")
    fails(environment(tmp_path / "liveso.sock"), ExitCode.NO_DAEMON, "is no socket of a daemon's")
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        fails(environment(tmp_path / "liveso.sock"), ExitCode.NO_DAEMON, "is no socket of a daemon's")


def test_a_daemon_that_cannot_answer_is_told(tmp_path: Path) -> None:
    with listening(tmp_path, http(b"Internal Server Error", "500 Internal Server Error")) as variables:
        fails(variables, ExitCode.NO_DAEMON, "could not answer (HTTP status 500)", "log")


@pytest.mark.parametrize("part", [0, -5])
def test_a_daemon_that_ends_meanwhile_is_told(tmp_path: Path, part: int) -> None:
    with listening(tmp_path, http(EMPTY)[:part]) as variables:
        fails(variables, ExitCode.NO_DAEMON, f"(pid {os.getpid()})", "ended while it was asked")


def test_a_daemon_that_does_not_answer_in_time_is_told(tmp_path: Path) -> None:
    with listening(tmp_path, None) as variables, pytest.raises(NoDaemon) as raised:
        ask_daemon(read_settings(variables), "/status", limit=0.2)
    assert f"(pid {os.getpid()})" in str(raised.value) and "does not answer within 0.2 s" in str(raised.value)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to reach everything, where a test has it."""
    if ROOT:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(os.getuid())


@pytest.mark.parametrize("hidden", ["the socket", "its folder"])
def test_permission_denied_is_not_no_daemon(hidden: str) -> None:
    with tempfile.TemporaryDirectory() as name, listening(Path(name), http(EMPTY)) as variables:
        folder, path = Path(name), Path(name, "liveso.sock.api")
        path.chmod(0)
        folder.chmod(0 if hidden == "its folder" else 0o755)
        with as_nobody(), pytest.raises(NotPermitted) as raised:
            ask_daemon(read_settings(variables), "/status")
        folder.chmod(0o700)
    place, owner = folder if hidden == "its folder" else path, user_name(os.getuid())
    assert f"permission denied, {place} belongs to {owner}; ask as {owner}: sudo" in str(raised.value)
    assert str(raised.value).endswith(" liveso …"), "whatever was to be done"
    assert raised.value.exit_code == ExitCode.NOT_PERMITTED


def test_another_users_answer_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that somebody else has put where the daemon's should be."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        with as_nobody(), listening(Path(name), http(EMPTY)) as variables:
            listener = user_name(os.geteuid())
            os.seteuid(os.getuid())
            if not ROOT:
                monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
            with pytest.raises(NotPermitted) as raised:
                ask_daemon(read_settings(variables), "/status")
    assert f"(pid {os.getpid()}) is {listener}, whose answers are not trusted" in str(raised.value)


def test_ctrl_c_prints_nothing(tmp_path: Path) -> None:
    asked = threading.Event()
    with listening(tmp_path, None, asked) as variables:
        # a shell lets what it runs in the background ignore SIGINT, and so these tests
        command = ["env", "--default-signal=INT", sys.executable, "-m", "liveso", "status"]
        process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert asked.wait(LIMIT)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=LIMIT) == (b"", b"")
        assert process.returncode == ExitCode.INTERRUPTED


@pytest.mark.parametrize("arguments", [("status",), ("status", "--json"), ("why",)])
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    library = {"path": "/lib/libx.so", "result": "refused"}
    targets = [  # with reasons of their own, and so more to print than a pipe holds
        {"pid": number, "command": "program", "libraries": [{**library, "reason": f"{number} {'x' * 1000}"}]}
        for number in range(1, 500)
    ]
    with listening(tmp_path, http({"targets": targets})) as variables:
        process = subprocess.Popen(
            [sys.executable, "-m", "liveso", *arguments],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout and process.stderr
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(LIMIT) == ExitCode.BROKEN_PIPE
        process.stderr.close()


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    with listening(tmp_path, http(EMPTY)) as variables, Path("/dev/full").open("w") as full:
        done = command(variables, "why", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == ExitCode.NOT_HERE
    assert done.stderr == "liveso: standard output: No space left on device\n"


def test_a_fault_of_ours_is_one_line_and_its_traceback_is_for_those_who_ask(tmp_path: Path) -> None:
    with listening(tmp_path, http({"targets": 5})) as variables:
        done = command(variables, "status")
        assert done.returncode == ExitCode.INTERNAL and done.stdout == ""
        assert "internal error: TypeError" in done.stderr and "LIVE_LOGLEVEL=4" in done.stderr
        assert done.stderr.count("\n") == 1
        assert "Traceback" in command({**variables, "LIVE_LOGLEVEL": "4"}, "status").stderr


@pytest.mark.parametrize("arguments", [("status",), ("why",), ("--version",), ("--help",), ("status", "--help")])
def test_a_start_loads_only_what_it_needs(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code = (
        "import sys; sys.argv[1:] = sys.argv[2:]\n"
        "from liveso.cli import main\n"
        "try: main()\n"
        "except SystemExit as ended: print(*sys.modules, file=sys.stderr); raise\n"
    )
    with listening(tmp_path, http(EMPTY)) as variables:
        done = subprocess.run(
            [sys.executable, "-c", code, "-", *arguments], env=variables, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0
    loaded = {it.partition(".")[0] for it in done.stderr.split()}
    assert "liveso" in loaded
    assert not loaded & {"numpy", "drgn", "capstone", "elftools", "starlette", "uvicorn", "httpx", "rich", "structlog"}
    assert "liveso.daemon" not in done.stderr.split() and "liveso.verdict" not in done.stderr.split()


def test_the_version_is_told() -> None:
    done = command(environment(Path("/nowhere/liveso.sock")), "--version")
    assert done.returncode == 0 and done.stdout.startswith("liveso 0.") and done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("status", "--nonsense"), ("run",), ("check",), ("check", "--policy", "x", "a", "b")]
)
def test_what_makes_no_sense_is_told_in_one_line(arguments: tuple[str, ...]) -> None:
    done = command(environment(Path("/nowhere/liveso.sock")), *arguments)
    assert done.returncode == ExitCode.BAD_INPUT and done.stdout == ""
    assert done.stderr.startswith("liveso: ") and "--help`" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("stats",), "No such command 'stats'. Did you mean 'status' or 'restart'? See `liveso --help`"),
        (("restart-neded",), "Did you mean 'restart-needed' or 'restart'? See `liveso --help`"),
        (("status", "--jsn"), "'--json'? See `liveso status --help`"),
        (("xyz",), "No such command 'xyz'; see `liveso --help`"),
    ],
)
def test_a_word_that_is_misspelt_is_told_with_what_may_be_meant(arguments: tuple[str, ...], said: str) -> None:
    done = subprocess.run([LIVESO, *arguments], capture_output=True, text=True)
    assert done.returncode == ExitCode.BAD_INPUT and done.stderr.endswith(f"{said}\n"), done.stderr


def test_what_is_not_there_is_a_no(tmp_path: Path) -> None:
    with listening(tmp_path, http(EMPTY)) as variables:
        for arguments in (("status", "5"), ("status", "name"), ("why", "5"), ("why", "name")):
            done = command(variables, *arguments)
            assert done.returncode == ExitCode.NO and "no process or library is called" in done.stderr
