"""A daemon that says what a test wants, at the socket where `liveso` asks; and the answers that tests make up."""

import json
import os
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.listeners import environment

LIBRARIES = ("libcrypto.so.3", "libssl.so.3", "libz.so.1", "libxml2.so.2", "libpcre2-8.so.0", "libstdc++.so.6")
OLD, NEW = "a" * 64, "b" * 64


class MadeUpDaemon:
    """`status` is what it answers, and may be changed at any time; `answers` are those to other questions, by path, and
    `questions` those of them that ask for something to be done."""

    def __init__(self, status: dict[str, Any]) -> None:
        self.status = status
        self.answers: dict[str, dict[str, Any]] = {}
        self.questions: list[tuple[str, dict[str, Any]]] = []
        self.variables: dict[str, str] = {}


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def made_up_daemon(folder: Path, status: dict[str, Any]) -> Iterator[MadeUpDaemon]:
    """It answers until the test is done with it; then its socket is gone."""
    it = MadeUpDaemon(status)
    path = folder / "liveso.sock"
    it.variables = {**environment(path), "LIVE_STORE": str(folder / "store")}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(it.answers.get(self.path, it.status))

        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            it.questions.append((self.path, question))
            self._answer(it.answers.get(self.path, {}))

        def _answer(self, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

        def address_string(self) -> str:
            return "a Unix socket"

    with _Server(f"{path}.api", Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield it
        finally:
            server.shutdown()
            thread.join()
            os.unlink(f"{path}.api")


def status(*targets: dict[str, Any]) -> dict[str, Any]:
    return {"pid": 4711, "version": "0.1.0", "problems": [], "targets": list(targets)}


def target(pid: int, unit: str, *libraries: dict[str, Any], command: str = "", **more: Any) -> dict[str, Any]:
    return {
        "pid": pid,
        "command": command or f"/usr/sbin/{unit.partition('.')[0]} --serve",
        "user": 0,
        "container": "",
        "units": [unit] if unit else [],
        "note": "",
        "libraries": list(libraries),
        **more,
    }


def library(name: str, result: str = "current", **more: Any) -> dict[str, Any]:
    return {
        "path": f"/usr/lib/x86_64-linux-gnu/{name}",
        "version": OLD,
        "build_id": "5b3c11d2a90e",
        "result": result,
        "reason": "",
        "details": [],
        "changed": 1_700_000_000.0,
        **more,
    }


def many(count: int) -> dict[str, Any]:
    """As many processes, each a service of its own."""
    now = time.time()
    return status(
        *(
            target(
                1000 + number,
                f"service-{number:04}.service",
                *(library(it, "updated" if number % 7 == 0 else "current", changed=now) for it in LIBRARIES),
            )
            for number in range(count)
        )
    )
