"""Takes requests until the daemon has gone."""

import contextlib
import os
import signal
import socket
import threading

from liveso.holder.freezes import freeze
from liveso.holder.orders import FREEZE, GONE, LATER, PROBLEM, REQUEST, VISIT, say
from liveso.holder.stops import Gone, Later, Problem, SystemCalls
from liveso.holder.visits import visit

_WORK = {FREEZE: freeze, VISIT: visit}


def serve() -> None:
    """Each request has a thread of its own, which lets go what it held. Signals are for the daemon: this ends after
    it. What is held stands still for as long as this waits for a processor, so it goes before others (sched(7))."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # where it may not, it waits for a processor as others do
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))
    control = socket.socket(fileno=0)
    while True:
        request, descriptors, _flags, _address = socket.recv_fds(control, REQUEST.size, 1)
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
