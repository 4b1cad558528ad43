"""Signals that come while the program runs as a child in the same process group.

What the terminal sends (Ctrl-C, Ctrl-Z, a hang-up), it sends to the group, and so to the program. What a process sends
to this one alone is meant for the program, and handed on. Which it is, the kernel says (sigaction(2), si_code). A shell
that sends a signal to the whole job (`kill %1`) is a process, too: the program may get that one twice.
"""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

FATAL = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
_STOPPING = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_TAKEN = (*FATAL, *_STOPPING, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class Received:
    """A signal; `sender` is the process that sent it, zero where it was the kernel."""

    number: int
    sender: int

    @property
    def is_for_one(self) -> bool:
        """Whether it came to this process alone; when a terminal hangs up, that is the leader of the session."""
        return bool(self.sender) or (self.number == signal.SIGHUP and os.getsid(0) == os.getpid())


class Signals:
    """Takes the signals, from before any other thread is there; `tell` gets each, in a thread of its own."""

    def __init__(self) -> None:
        self.mask_before = signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)

    def start(self, tell: Callable[[Received], None]) -> None:
        threading.Thread(target=self._take_all, args=(tell,), name="signals", daemon=True).start()

    def _take_all(self, tell: Callable[[Received], None]) -> None:
        while True:
            info = signal.sigwaitinfo(_TAKEN)
            tell(Received(info.si_signo, info.si_pid if info.si_code <= 0 else 0))


def stop_as(number: int) -> None:
    """Stop this process as the program was stopped, until it is continued: the shell sees what it would have seen."""
    if number in _STOPPING:
        _let_through(number)
    else:
        os.kill(os.getpid(), signal.SIGSTOP)


def end_as(number: int) -> int:
    """End as the program did, by a signal, without a core file of this process; the exit code where that is ignored,
    as in the first process of a container."""
    import resource

    _now, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    _let_through(number)
    return 128 + number


def _let_through(number: int) -> None:
    """To this thread alone: the one that takes signals would get what is for the process."""
    signal.pthread_kill(threading.get_ident(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    signal.pthread_sigmask(signal.SIG_BLOCK, {number} & set(_TAKEN))
