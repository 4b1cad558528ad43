"""Fresh roots of Debian's releases, and a real systemd in them (tools/debian-root)."""

import io
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import wait_until

_TREE = Path(__file__).parents[2]
_CANNOT_BE_MADE = 3
_LONGEST = 900  # seconds: apt, with all that it downloads
_NAMESPACES = ("--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wd")
_KEEP = """
umount --recursive --lazy /dev
mount -t tmpfs -o mode=755 tmpfs /dev
for node in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "/dev/${node%:*}" c 1 "${node#*:}"; done
mknod -m 666 /dev/tty c 5 0
mkdir /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
for number in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${number%:*}" "/dev/${number#*:}"; done
apt-get update -qq
exec sleep infinity
"""
"""Devices of its own: packages and systemd change owners and permissions of those that they find."""
_BOOT = """
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
umount --recursive --lazy /sys
mount -t sysfs -o ro sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
exec env container=unshare /lib/systemd/systemd --system --log-level=warning
"""
"""As container managers start it: the kernel's settings are none of its own, and control groups are of one kind alone,
which all its versions know."""


@dataclass(frozen=True, slots=True)
class Root:
    """A root in which processes run; `pid` is one whose namespaces they have."""

    pid: int

    def run(self, *command: str, **environment: str) -> str:
        """What a command in there prints, and says on standard error. Fails where it fails."""
        done = self.attempt(*command, **environment)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}"
        return done.stdout

    def attempt(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """As `run`, for what may fail."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        known = {"PATH": path, "HOME": "/root", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **environment}
        return subprocess.run(
            ["nsenter", "--target", str(self.pid), *_NAMESPACES, *command],
            env=known,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_LONGEST,
        )

    def install(self, *packages: str) -> str:
        """As an operator does."""
        return self.run("apt-get", "install", "--yes", "--quiet", *packages)

    def put(self, files: Mapping[str, bytes]) -> None:
        """Write files, by their paths in there, that all may read and execute."""
        with subprocess.Popen(
            ["nsenter", "--target", str(self.pid), *_NAMESPACES, "tar", "-x", "-C", "/"], stdin=subprocess.PIPE
        ) as unpacking:
            assert unpacking.stdin
            unpacking.stdin.write(_archive(files))
        assert unpacking.returncode == 0

    def named(self, name: str) -> list[str]:
        """The files and folders with `name` in theirs, but for what a test put there, and what only records acts."""
        left_out = ("/srv", "/proc", "/sys", "/dev", "/tmp", "/var/log", "/var/lib/apt", "/var/cache/apt")
        pruned = " -o ".join(f"-path {it}" for it in left_out)
        found = self.run("sh", "-c", rf"find / \( {pruned} \) -prune -o -iname '*{name}*' -print")
        return sorted(found.split("\n"))[1:]


def _archive(files: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


@contextmanager
def fresh_root(release: str) -> Iterator[Root]:
    """A root of a release with nothing but what Debian needs, make, git and python3."""
    keeper = subprocess.Popen(
        ["tools/debian-root", "fresh", release, "sh", "-euc", _KEEP],
        cwd=_TREE,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Root(wait_until(lambda: _is_there(keeper) and _descendant(keeper.pid, "sleep"), "a root", limit=_LONGEST))
    finally:
        # it removes the root when what it runs has ended
        for pid in _descendants(keeper.pid):
            if _command(pid) == "sleep":
                os.kill(pid, signal.SIGKILL)  # the first of its namespace, which others do not end
        keeper.wait(_LONGEST)


def _is_there(keeper: subprocess.Popen[str]) -> bool:
    """Skips the test where no root can be made on this machine."""
    if keeper.poll() is None:
        return True
    assert keeper.stderr
    said = keeper.stderr.read()
    if keeper.returncode == _CANNOT_BE_MADE:
        pytest.skip(said.strip())
    pytest.fail(f"no root: {said}")


@contextmanager
def booted(root: Root) -> Iterator[Root]:
    """A root with systemd as its first process."""
    root.install("--no-install-recommends", "systemd", "systemd-sysv", "dbus")
    namespaces = ["nsenter", "--target", str(root.pid), *_NAMESPACES]
    own = ["unshare", "--pid", "--mount", "--cgroup", "--fork", "--kill-child", "sh", "-euc", _BOOT]
    with subprocess.Popen([*namespaces, *own], stdin=subprocess.DEVNULL) as outside:
        try:
            system = Root(wait_until(lambda: _descendant(outside.pid, "systemd"), "systemd"))
            states = ("running", "degraded")  # what a container has no rights for fails, as modules of the kernel
            wait_until(
                lambda: system.attempt("systemctl", "is-system-running").stdout.strip() in states,
                lambda: system.attempt("systemctl", "--no-pager", "status").stdout,
            )
            yield system
        finally:
            outside.kill()  # and with it all that is in there


def _descendants(pid: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield child
        yield from _descendants(child)


def _descendant(pid: int, command: str) -> int:
    """The process below `pid` that is called so; 0 while there is none."""
    return next((it for it in _descendants(pid) if _command(it) == command), 0)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
