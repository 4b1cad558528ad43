"""What the threads of a process may do: the kernel keeps that for each of them (credentials(7), seccomp(2))."""

from liveso.process import proc

_FIELDS = ("Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:", "Seccomp")


def differ(pid: int, one: int, other: int) -> bool:
    """Whether two threads of a process differ in what they may do, as they also do for a moment while glibc changes the
    user of one after another (setuid(2)). Raises TargetGone where one of them has ended."""
    return _of(pid, one) != _of(pid, other)


def _of(pid: int, thread: int) -> list[str]:
    return [line for line in proc.status_lines(pid, thread) if line.startswith(_FIELDS)]
