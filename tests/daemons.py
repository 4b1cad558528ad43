"""Daemons for tests, forked from a process that has loaded what a daemon loads: most of a start's half second of a
processor, for hundreds of tests. What a daemon does by itself from then on is the same; starts from nothing have tests
of their own.
"""

import ctypes
import gc
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, NoReturn

_PR_SET_PDEATHSIG = 1
_LONGEST_REQUEST = 1 << 16  # bytes: the options, an environment and a folder


class ForkedDaemon:
    """A daemon that was forked: what subprocess.Popen offers, as far as tests use it."""

    def __init__(self, options: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.returncode: int | None = None
        stdin, stdin_here = os.pipe()
        stdout_here, stdout = os.pipe()
        stderr_here, stderr = os.pipe()
        answers_here, answers = os.pipe()
        request = json.dumps([list(options), dict(environment), str(folder)]).encode()
        theirs = [stdin, stdout, stderr, answers]
        socket.send_fds(_forks(), [request], theirs)
        for descriptor in theirs:
            os.close(descriptor)
        self.stdin: IO[str] = os.fdopen(stdin_here, "w")
        self.stdout: IO[str] = os.fdopen(stdout_here, errors="replace")
        self.stderr: IO[str] = os.fdopen(stderr_here, errors="replace")
        self._answers: IO[bytes] = os.fdopen(answers_here, "rb", buffering=0)  # select must see what is not read
        self.pid = int(self._answers.readline())

    def poll(self) -> int | None:
        """The exit status, as Popen.returncode has it, or None while it runs."""
        if self.returncode is None and select.select([self._answers], [], [], 0)[0]:
            self.returncode = int(self._answers.readline() or -signal.SIGKILL)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired after `timeout` seconds."""
        if self.returncode is None and not select.select([self._answers], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("liveso daemon", timeout or 0)
        return self.poll() or 0

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def _forks() -> socket.socket:
    """The connection to this process's own one that forks."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVE_")}
    with there:
        subprocess.Popen([sys.executable, "-m", "tests.daemons"], stdin=there.fileno(), env=environment)
    return here


def _serve() -> None:
    """Fork what is asked for on standard input, and tell each one's number and exit status, until that is closed."""
    _end_with_the_parent()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as `liveso daemon` does
    gc.disable()
    import liveso.daemon  # noqa: F401 - all that a daemon loads

    gc.freeze()
    requests = socket.socket(fileno=0)
    selector = selectors.DefaultSelector()
    selector.register(requests, selectors.EVENT_READ)
    while True:
        for key, _events in selector.select():
            if key.fileobj is not requests:
                selector.unregister(key.fileobj)
                _tell_end(key.fd, *key.data)
                continue
            request, descriptors, _flags, _address = socket.recv_fds(requests, _LONGEST_REQUEST, 4)
            if not request:
                return
            *streams, answers = descriptors
            if not (pid := os.fork()):
                _become_daemon(streams, *json.loads(request))
            for descriptor in streams:
                os.close(descriptor)
            os.write(answers, b"%d\n" % pid)
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, answers))


def _tell_end(descriptor: int, pid: int, answers: int) -> None:
    _pid, status = os.waitpid(pid, 0)
    try:
        os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(status))
    except BrokenPipeError:
        pass  # nobody asks any more
    os.close(descriptor)
    os.close(answers)


def _become_daemon(streams: list[int], options: list[str], environment: dict[str, str], folder: str) -> NoReturn:
    _end_with_the_parent()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", buffering=1, closefd=False)
    os.closerange(len(streams), os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["liveso", "daemon", *options]
    from liveso.cli import main

    code: object = 1
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    os._exit(int(str(code or 0)))


def _end_with_the_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _serve()
