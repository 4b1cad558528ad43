"""Machines on loopback: each a systemd with an sshd of its own in namespaces, whose files lie over one image."""

import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.harness import wait_until

_BOOT = Path(__file__).with_name("boot.sh")
_KEYS = "/etc/ssh/fleet_keys"
_SSHD = "Port {port}\nListenAddress 127.0.0.1\nPermitRootLogin yes\nAuthorizedKeysFile {keys}\n"
_LONGEST = 300  # seconds for a command on a machine
SSH_OPTIONS = ["-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]


@dataclass(frozen=True, slots=True)
class Machine:
    """`files` is where what differs from the image lies."""

    name: str
    port: int
    key: Path
    files: Path
    process: subprocess.Popen[bytes]
    cgroup: Path

    def attempt(self, command: str) -> subprocess.CompletedProcess[str]:
        ssh = ["ssh", *SSH_OPTIONS, "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-i", str(self.key)]
        return subprocess.run(
            [*ssh, "-p", str(self.port), "root@127.0.0.1", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
        )

    def run(self, command: str) -> str:
        """What a command prints on the machine. Fails where it fails."""
        done = self.attempt(command)
        assert done.returncode == 0, f"{self.name}: {command}: {done.stderr or done.stdout}"
        return done.stdout

    def is_up(self) -> bool:
        assert self.process.poll() is None, f"{self.name}: its systemd has ended"
        # what a container has no rights for fails: "degraded"
        return self.attempt("systemctl is-system-running").stdout.strip() in ("running", "degraded")

    def end(self) -> None:
        self.process.kill()  # and with it all that is in there
        self.process.wait()
        for folder in sorted((it for it in self.cgroup.rglob("*") if it.is_dir()), reverse=True):
            wait_until(lambda it=folder: _removed(it), f"{folder} is empty")  # type: ignore[misc]
        wait_until(lambda: _removed(self.cgroup), f"{self.cgroup} is empty")


def boot(name: str, image: Path, folder: Path, files: Mapping[str, bytes]) -> Machine:
    """Start a machine in `folder`, whose `files` lie over those of `image` from the beginning; it is not waited for."""
    home = folder / name
    for part in ("root", "upper", "work"):
        (home / part).mkdir(parents=True)
    key, port = folder / "key", free_port()
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    own = {
        _KEYS: key.with_suffix(".pub").read_bytes(),
        "/etc/ssh/sshd_config.d/fleet.conf": _SSHD.format(port=port, keys=_KEYS).encode(),
        "/etc/hostname": f"{name}\n".encode(),
    }
    for path, content in {**own, **files}.items():
        there = home / "upper" / path.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(content)
        there.chmod(0o755)
    cgroup = _cgroups() / f"liveso-fleet-{os.getpid()}-{name}"
    cgroup.mkdir()
    own_namespaces = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*own_namespaces, "sh", _BOOT, name, image, home, cgroup],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return Machine(name, port, key, home / "upper", process, cgroup)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _cgroups() -> Path:
    """Where control groups of version 2 are: the machine below may have both."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return next(Path(it[1]) for it in mounts if it[2] == "cgroup2")


def _removed(folder: Path) -> bool:
    with suppress(OSError):
        folder.rmdir()
    return not folder.exists()


def remove(folder: Path) -> None:
    """What a machine left, also what overlayfs made for itself."""
    shutil.rmtree(folder, ignore_errors=True)
