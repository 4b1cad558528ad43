"""What /proc says of a thread (proc(5)), whether it stands or not."""

import os
from pathlib import Path

from liveso.holder.problems import Gone


def threads_of(pid: int) -> set[int]:
    try:
        return {int(name) for name in os.listdir(f"/proc/{pid}/task")}
    except OSError as error:
        raise Gone(f"process {pid} has ended") from error


def state(pid: int, thread: int) -> str:
    """The letter of /proc/PID/status, State; empty where there is no such thread."""
    return field_of(pid, thread, "State")[:1]


def field_of(pid: int, thread: int, name: str) -> str:
    """A field of /proc/PID/status; empty where there is none."""
    lines = _text(pid, thread, "status").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")), "")


def has_signal(pid: int, thread: int, name: str, number: int) -> bool:
    """Whether a signal is in a set of /proc/PID/status (SigPnd, SigCgt)."""
    return bool(int(field_of(pid, thread, name) or "0", 16) >> number - 1 & 1)


def system_call_of(pid: int, thread: int) -> list[str]:
    """The fields of /proc/PID/syscall, which begin with a call's number where the thread waits in one."""
    return _text(pid, thread, "syscall").split()


def _text(pid: int, thread: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/task/{thread}/{name}").read_text(errors="replace")
    except OSError:
        return ""
