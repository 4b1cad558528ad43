"""Sockets at which something else than a daemon answers, or a daemon's answer that a test has chosen."""

import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

LIMIT = 60.0  # seconds: generous, for a loaded machine


@contextmanager
def listening(folder: Path, answer: bytes | None, asked: threading.Event | None = None) -> Iterator[dict[str, str]]:
    """Answer each caller with `answer`, or never where it is None, and set `asked` when one has asked. Gives the
    environment in which `liveso` calls."""
    path = folder / "liveso.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.api")
    listener.listen()
    held = []

    def serve() -> None:
        while True:
            try:
                caller, _address = listener.accept()
            except OSError:
                return
            caller.recv(65536)
            if asked:
                asked.set()
            held.append(caller)
            if answer is not None:
                with suppress(BrokenPipeError):  # a caller that does not want to hear it
                    caller.sendall(answer)
                held.pop().close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield environment(path)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(LIMIT)
        listener.close()
        for it in held:
            it.close()


def environment(path: Path) -> dict[str, str]:
    """The environment of a `liveso` that looks for its daemon at `path`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIVE_")}
    return {**kept, "LIVE_SOCKET": str(path), "HOME": "/nowhere", "COLUMNS": ""}


def http(answer: object, status: str = "200 OK") -> bytes:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def command(variables: Mapping[str, str], *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run `liveso`, with pipes for its output."""
    return subprocess.run(
        [sys.executable, "-m", "liveso", *arguments],
        env=dict(variables),
        **{"capture_output": True, "text": True, "check": False, "timeout": LIMIT, **options},
    )


def on_terminal(variables: Mapping[str, str], width: int, *arguments: str) -> str:
    """What `liveso` shows on a terminal of `width` columns, with its colours."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "liveso", *arguments],
        env={**variables, "COLUMNS": str(width), "TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    try:
        while select.select([master], [], [], LIMIT)[0]:
            part = os.read(master, 65536)
            if not part:
                break
            shown += part
    except OSError:  # EIO: the last that had the terminal open has ended
        pass
    finally:
        os.close(master)
        process.wait(LIMIT)
    return shown.decode().replace("\r\n", "\n")


def uncoloured(shown: str) -> str:
    """Without the sequences that set colours and weights (ECMA-48, SGR)."""
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)
