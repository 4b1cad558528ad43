"""A terminal for tests: what runs in it has it as its controlling one, and its output is collected."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.harness import LIMIT, wait_until


class Terminal:
    """Runs a command as the leader of a session on a terminal of its own."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str], folder: Path) -> None:
        self._here, there = os.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("4H", 50, 300, 0, 0))
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *map(str, command)],
            stdin=there,
            stdout=there,
            stderr=there,
            env={**environment, "TERM": "xterm", "PS1": "prompt> ", "HISTFILE": ""},
            cwd=folder,
        )
        os.close(there)
        self._said = b""
        self._is_closed = False
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self) -> None:
        while not self._is_closed:
            if not select.select([self._here], [], [], 0.1)[0]:
                continue  # a read that waits would keep it from hanging up
            try:
                text = os.read(self._here, 65536)
            except OSError:  # nobody has it open any more
                return
            self._said += text

    @property
    def said(self) -> str:
        return self._said.decode(errors="replace")

    @property
    def length(self) -> int:
        """How much was said so far: where to wait from for what an act causes."""
        return len(self.said)

    def wait_for(self, text: str, after: int = 0) -> str:
        """Wait for `text` behind so many characters, and return all from there on."""
        wait_until(lambda: text in self.said[after:], lambda: f"{text!r} in {self.said[after:]!r}")
        return self.said[after:]

    def type(self, text: str) -> None:
        os.write(self._here, text.encode())

    def modes(self) -> int:
        """The local modes (termios(3)): whether there is an echo, and whole lines."""
        return int(termios.tcgetattr(self._here)[3])

    def end(self) -> int:
        """Wait until what runs in it has ended; its exit code."""
        return self.process.wait(LIMIT)

    def close(self) -> None:
        """Hang up: what runs in it gets SIGHUP."""
        self._is_closed = True
        self._reader.join()
        os.close(self._here)
        try:
            self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            raise
