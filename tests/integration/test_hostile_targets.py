"""Whoever connects to the daemon may say anything: it is refused, and everybody else is served as before."""

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from liveso.client.ask import ask_daemon
from liveso.process import protocol
from liveso.process.protocol import Kind, Message, Status
from liveso.settings import read_settings
from tests.harness import Bench, Program, wait_until

LIBRARY = "static int sum; int add(int number) { return sum += number; } int version(void) { return VERSION; }"
PROGRAM = """
#include <stdio.h>
int add(int); int version(void);
int main(void)
{
    char line[99];
    while (fgets(line, sizeof line, stdin)) {
        int sum = add(1);
        printf("version %d, sum %d\\n", version(), sum);
        fflush(stdout);
    }
    return 0;
}
"""
PATH = "/usr/lib/libcase.so"

Answer = Callable[[Message, int], Message]
"""Makes the answer to a request that came with a sheet, or -1."""


class FakeAgent:
    """Connects as an agent does, from a thread of this process, and answers as the test wants it."""

    def __init__(self, bench: Bench, answer: Answer, hello: bytes | None = None) -> None:
        self._answer = answer
        self._hello = hello
        self.asked: list[int] = []
        self.has_ended = threading.Event()
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._connection.connect(str(bench.runtime / "liveso.sock"))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        thread = threading.get_native_id()
        hello = Message(Kind.HELLO, argument=(protocol.PROTOCOL, thread, 0, 0)).encode()
        with contextlib.suppress(OSError, ValueError):
            self._connection.send(self._hello if self._hello is not None else hello)
            while True:
                record, sheets, _flags, _address = socket.recv_fds(self._connection, 1 << 16, 4)
                if not record:
                    break
                request = protocol.decode(record)
                self.asked.append(request.kind)
                reply = self._answer(request, sheets[0] if sheets else -1)
                for sheet in sheets:
                    os.close(sheet)
                self._connection.send(reply.encode())
        self.has_ended.set()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


def reply(request: Message, *argument: int, text: bytes = b"") -> Message:
    numbers = (*argument, 0, 0, 0, 0)[:4]
    return Message(request.kind, Status.DONE, (numbers[0], numbers[1], numbers[2], numbers[3]), text, request.number)


def recalling(content: bytes) -> Answer:
    """The answers of an agent whose record is `content`."""

    def answer(request: Message, sheet: int) -> Message:
        if request.kind == Kind.RECALL:
            os.pwrite(sheet, content, 0)
            return reply(request, len(content))
        return reply(request)

    return answer


def a_record(digest: str, base: int = 0x1000) -> bytes:
    versions = [[digest, base, 0, {}, True, [], [], []], ["1" * 64, base, 0, {}, True, [], [], []]]
    return json.dumps({PATH: {"current": digest, "global": True, "versions": versions}}).encode()


def listing(*argument: int, content: bytes = b"") -> Answer:
    """The answers of an agent that lists `content`, and says that it has `argument` objects and bytes."""

    def answer(request: Message, sheet: int) -> Message:
        if request.kind == Kind.LIST:
            os.pwrite(sheet, content, 0)
            return reply(request, *argument)
        return reply(request)

    return answer


def with_sparse_sheet(request: Message, sheet: int) -> Message:
    if sheet >= 0:
        os.ftruncate(sheet, 1 << 40)
    return reply(request, 1 << 40, 1 << 40)


def with_shrunk_sheet(request: Message, sheet: int) -> Message:
    if sheet >= 0:
        os.ftruncate(sheet, 0)
    return reply(request, 100, 100)


def with_another_number(request: Message, _sheet: int) -> Message:
    return Message(request.kind, Status.DONE, (0, 0, 0, 0), b"", request.number + 1)


def with_unknown_status(request: Message, _sheet: int) -> Message:
    return Message(request.kind, 4711, (1 << 63, 1 << 63, 1 << 63, 1 << 63), b"\xff" * 100, request.number)


OBJECT = protocol.OBJECT.pack(0x1000, 0x1040, 0, 0, 7, 5)
ANSWERS: dict[str, Answer] = {
    "a record that is a path": recalling(a_record("../../../../../../dev/zero")),
    "a record of a version that is not there": recalling(a_record("2" * 64)),
    "a record that is no JSON": recalling(b"{" * 100_000),
    "a record of an enormous size": lambda request, _sheet: reply(request, 1 << 62),
    "a listing of an enormous size": listing(1, 1 << 62),
    "a listing of an enormous count": listing(1 << 62, len(OBJECT) + 5, content=OBJECT + b"/lib/"),
    "a listing that is cut short": listing(1, len(OBJECT) + 2, content=OBJECT + b"/l"),
    "a listing of what is not mapped": listing(1, len(OBJECT) + 5, content=OBJECT + b"/lib/"),
    "a listing of names that are no text": listing(1, len(OBJECT) + 5, content=OBJECT + b"\xff\0\x1b/\x80"),
    "a sparse sheet": with_sparse_sheet,
    "a shrunk sheet": with_shrunk_sheet,
    "another number": with_another_number,
    "an unknown status": with_unknown_status,
}
HELLOS = {
    "no message": b"hello",
    "an empty record": b"\0",
    "another length": Message(Kind.HELLO, argument=(protocol.PROTOCOL, 1, 0, 0), text=b"LIVE_X=1\0").encode()[:-3],
    "another kind": Message(Kind.COMMIT).encode(),
    "another thread": Message(Kind.HELLO, argument=(protocol.PROTOCOL, 1, 0, 0)).encode(),
    "a thread that cannot be": Message(Kind.HELLO, argument=(protocol.PROTOCOL, 1 << 63, 0, 0)).encode(),
    "the first thread": Message(Kind.HELLO, argument=(protocol.PROTOCOL, os.getpid(), 0, 0)).encode(),
    "a protocol to come": Message(Kind.HELLO, argument=(1 << 40, 1, 0, 0)).encode(),
}


@pytest.fixture
def program(bench: Bench) -> Iterator[Program]:
    """A target that is served all the while."""
    for version in (1, 2):
        flags = ("-O2", "-fPIC", "-shared", f"-DVERSION={version}", "-Wl,-soname,libcount.so")
        bench.compile(LIBRARY, f"libcount.{version}.so", *flags)
    bench.link("libcount.1.so", "libcount.so")
    bench.compile(PROGRAM, "program", "libcount.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libcount.so")
    yield program
    assert program.end() == 0


def is_served_as_before(bench: Bench, program: Program) -> None:
    """Go to the other version and back."""
    for version in (2, 1):
        bench.update(f"libcount.{version}.so", "libcount.so", program.pid)
        after = len(program.lines)
        program.ask("")
        program.wait_for(f"version {version}", after)
    assert bench.daemon and bench.daemon.process.poll() is None
    assert not any("internal-error" in line or "Traceback" in line for line in bench.daemon.error_lines)


@pytest.mark.parametrize("answers", ANSWERS)
def test_answers_that_no_agent_gives(bench: Bench, program: Program, answers: str) -> None:
    agents = [FakeAgent(bench, ANSWERS[answers]) for _ in range(3)]
    wait_until(lambda: all(agent.asked for agent in agents), "a question to each")
    is_served_as_before(bench, program)
    for agent in agents:
        agent.close()
    wait_until(lambda: os.getpid() not in {it["pid"] for it in bench.status()}, "this process gone from status")


def test_hellos_that_no_agent_says(bench: Bench, program: Program) -> None:
    agents = [FakeAgent(bench, lambda request, _sheet: reply(request), hello) for hello in HELLOS.values()]
    for agent in agents:
        assert agent.has_ended.wait(60)
        assert agent.asked == []
    is_served_as_before(bench, program)


def test_connections_that_say_nothing(bench: Bench, program: Program) -> None:
    silent = []
    for _ in range(200):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(str(bench.runtime / "liveso.sock"))
        silent.append(connection)
    is_served_as_before(bench, program)
    for connection in silent:
        connection.close()


def test_more_connections_than_the_daemon_has_descriptors_for(bench: Bench, program: Program) -> None:
    assert bench.daemon
    resource.prlimit(bench.daemon.pid, resource.RLIMIT_NOFILE, (200, 200))
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(150)]
    for connection in silent:
        connection.connect(str(bench.runtime / "liveso.sock"))
    wait_until(lambda: "raise the daemon's limit of open files" in problems(bench), "the problem in status")
    is_served_as_before(bench, program)
    for connection in silent:
        connection.close()
    wait_until(lambda: not problems(bench), "no problem any more")
    late = bench.run("./program")
    bench.library(late.pid, "libcount.so")
    assert late.end() == 0


def problems(bench: Bench) -> str:
    return " ".join(ask_daemon(read_settings(bench.environment), "/status")["problems"])


CHANGES_ITS_USER = """
import os, socket, sys
connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
os.seteuid(12345)
connection.connect(sys.argv[1])
os.setresuid(0, 0, 0)
print("root", flush=True)
sys.stdin.readline()
try:
    connection.send(bytes.fromhex(sys.argv[2]))
    answer = connection.recv(1 << 16)
except OSError:  # closed already
    answer = b""
print("said", answer or "nothing", flush=True)
sys.stdin.readline()
"""


def test_a_process_that_acts_as_another_user_by_now_is_not_served(bench: Bench, program: Program) -> None:
    hello = Message(Kind.HELLO, argument=(protocol.PROTOCOL, 1, 0, 0)).encode().hex()
    process = subprocess.Popen(
        [sys.executable, "-c", CHANGES_ITS_USER, "liveso.sock", hello],
        cwd=bench.runtime,  # whose folders a plain user may not enter from above
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    assert process.stdout.readline() == "root\n"
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "said nothing\n"
    assert process.pid not in {it["pid"] for it in bench.status()}
    process.communicate("\n")
    is_served_as_before(bench, program)
