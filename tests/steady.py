"""What programs/steady.c says when something is not as it was."""

from liveso.process.native import native_machine
from tests.harness import Program

INTERRUPTED = " returns -1 (Interrupted system call)"
_CALLS = native_machine().calls
_SEEN_TOO_EARLY = 20 if _CALLS and _CALLS.stops.instruction_size else 0
"""How many waits may end, of hundreds that are stopped, where the kernel forgets what a thread waits in: those that
began between the look at the thread and the stop, which is long in an emulator."""


def noticed(program: Program) -> list[str]:
    """All that it noticed so far, but for such waits."""
    found = [it for it in program.lines if it.startswith("bad")]
    ended = [it for it in found if it.endswith(INTERRUPTED)]
    return [it for it in found if it not in ended] if len(ended) <= _SEEN_TOO_EARLY else found
