"""Takes requests until the daemon has gone."""

import signal
import socket
import threading

from liveso.holder.freezes import freeze
from liveso.holder.orders import FREEZE, GONE, LATER, PROBLEM, READY, REQUEST, VISIT, hear, say
from liveso.holder.stops import Gone, Later, Problem, SystemCalls
from liveso.holder.visits import visit

_WORK = {FREEZE: freeze, VISIT: visit}


def serve() -> None:
    """Each request has a thread of its own, which lets go what it held. Signals are for the daemon: this ends after
    it."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    control = socket.socket(fileno=0)
    say(control, READY)
    while True:
        request, descriptors = hear(control, REQUEST.size)
        if not request:
            return
        kind, pid, thread, limit, number_at, result_at, *interrupted = REQUEST.unpack(request)
        system_calls = SystemCalls(number_at, result_at, frozenset(interrupted))
        talk = socket.socket(fileno=descriptors[0])
        threading.Thread(target=_work, args=(kind, talk, pid, thread, limit, system_calls)).start()


def _work(kind: bytes, talk: socket.socket, pid: int, thread: int, limit: float, system_calls: SystemCalls) -> None:
    with talk:
        answer = b""
        try:
            _WORK[kind](talk, pid, thread, limit, system_calls)
        except Later as error:
            answer = LATER + str(error).encode()
        except Gone as error:
            answer = GONE + str(error).encode()
        except Problem as error:
            answer = PROBLEM + str(error).encode()
        except Exception as error:
            answer = PROBLEM + f"{type(error).__name__}: {error}".encode()
        if answer:
            say(talk, answer)
