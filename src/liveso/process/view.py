"""Whether a process sees the same files as the daemon under the same names: it may have another root (chroot(2),
containers), or mounts of its own (mount_namespaces(7); PrivateTmp, ProtectSystem and others of systemd)."""

import os
from collections.abc import Callable

from liveso.errors import TargetError, TargetGone
from liveso.roots import open_file
from liveso.withheld import NoAnswer, in_time


def root_for(pid: int, thread: int, store: str) -> str:
    """The root below which the daemon finds the files of a process: empty where both see the same, the store among them
    (liveso.roots). Raises TargetError where the process cannot be given files that it does not see, TargetGone."""
    if not (reason := why_unlike(pid, thread, store)):
        return ""
    root = f"/proc/{pid}/root"
    try:
        os.close(open_file(f"{root}/proc/self", os.O_PATH | os.O_NOFOLLOW))
    except OSError as error:
        raise TargetError(f"{reason}; it cannot be given others, since it has no /proc") from error
    return root


def why_unlike(pid: int, thread: int, store: str) -> str:
    """Why a process cannot open what the daemon names, above all in the store; empty where it can. Raises TargetGone,
    TargetError where it may not be looked at."""
    if not sees_same(pid, thread, "/"):
        return "it sees other files than the daemon (container, chroot)"
    if has_own_mounts(pid, thread) and not sees_same(pid, thread, _there_is(store)):
        return f"it sees other files than the daemon (PrivateTmp and the like of systemd, unshare(1)), not {store}"
    return ""


def _there_is(path: str) -> str:
    """The path, or the folder above it in which it is yet to be made."""
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return path


def has_own_mounts(pid: int, thread: int) -> bool:
    """Whether a process is in another mount namespace. Raises as `why_unlike` does."""
    return _asked(lambda: os.readlink(f"/proc/{pid}/task/{thread}/ns/mnt") != os.readlink("/proc/self/ns/mnt"), pid)


def sees_same(pid: int, thread: int, path: str) -> bool:
    """Whether a path leads a process to the same file as the daemon. Raises as `why_unlike` does."""
    real = os.path.realpath(path)  # what is a link there would lead the daemon into its own files

    def is_same() -> bool:
        try:
            theirs, ours = os.stat(f"/proc/{pid}/task/{thread}/root{real}"), os.stat(real)
        except FileNotFoundError:
            os.stat(f"/proc/{pid}/task/{thread}")
            return False
        return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)

    return _asked(is_same, pid)


def _asked(question: Callable[[], bool], pid: int) -> bool:
    root = f"/proc/{pid}/root"
    try:
        return in_time(root, question)
    except NoAnswer as error:
        raise TargetError(f"{root} cannot be looked at: {error.strerror}") from error
    except PermissionError as error:
        raise TargetError(f"{root} may not be read; run the daemon as the same user or as root") from error
    except OSError as error:
        raise TargetGone(f"process {pid} has ended") from error
