"""Takes requests until the daemon has gone."""

import signal
import socket
import threading

from liveso.holder.facts import Facts
from liveso.holder.freezes import freeze
from liveso.holder.orders import FREEZE, GONE, LATER, PROBLEM, READY, REQUEST, VISIT, hear, say
from liveso.holder.problems import Gone, Later, Problem
from liveso.holder.visits import visit
from liveso.holder.waits import Waits

_WORK = {FREEZE: freeze, VISIT: visit}


def serve(facts: Facts) -> None:
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
        kind, pid, thread, limit = REQUEST.unpack(request)
        talk = socket.socket(fileno=descriptors[0])
        threading.Thread(target=_work, args=(kind, talk, thread, limit, Waits(pid, facts))).start()


def _work(kind: bytes, talk: socket.socket, thread: int, limit: float, waits: Waits) -> None:
    with talk:
        answer = b""
        try:
            _WORK[kind](talk, thread, limit, waits)
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
