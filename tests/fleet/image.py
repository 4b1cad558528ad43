"""What the machines of a fleet begin with: Debian with systemd and sshd, made once (tools/debian-root)."""

import os
import re
import subprocess
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from tests.once import made_once

_TREE = Path(__file__).parents[2]
_ROOTS = Path(os.environ.get("LIVESO_ROOTS", "/var/cache/liveso/roots"))
_CANNOT_BE_MADE = 3
_LONGEST = 900  # seconds: apt, with all that it downloads
_OF_A_MACHINE = ("systemd", "systemd-sysv", "dbus", "openssh-server", "python3-apt")
_LIBRARIES = ("libdw1", "libelf1", "libgomp1", "libstdc++6", "liblzma5")
_MAKE = r"""
exec 3>&1 >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "$@"
apt-get clean
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/00machine
systemctl mask console-getty.service getty.target systemd-logind.service >/dev/null 2>&1
sed 's,^/\(.*\),./\1/*,' /.machine-folders >/tmp/folders
tar -c --one-file-system --exclude='./srv/*' --exclude-from=/tmp/folders -C / . >&3
"""


def image(release: str) -> Path:
    """The folder of the image. Skips the test where no root can be made on this machine."""
    packages = (*_OF_A_MACHINE, *_of_liveso(release))
    mark = sha256((_MAKE + release + " ".join(packages)).encode()).hexdigest()[:12]
    _ROOTS.mkdir(parents=True, exist_ok=True)
    return made_once(_ROOTS / f"fleet-{release}-{mark}", lambda folder: _make(folder, release, packages))


def _of_liveso(release: str) -> tuple[str, ...]:
    """What its package wants of Debian: the machines have no archive but the tests' own."""
    control = (_TREE / "packaging/debian/control").read_text()
    lines = re.findall(r"^ (python3-[\w-]+)(.*)$", control, re.MULTILINE)
    # what it has for Debian 12's Python itself, it names as an alternative
    return (*(name for name, rest in lines if release != "bookworm" or "|" not in rest), *_LIBRARIES)


def _make(folder: Path, release: str, packages: Sequence[str]) -> None:
    folder.mkdir()
    command = ["tools/debian-root", "fresh", release, "sh", "-euc", _MAKE, "sh", *packages]
    with subprocess.Popen(command, cwd=_TREE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as making:
        subprocess.run(["tar", "-x", "-C", folder], stdin=making.stdout, check=True, timeout=_LONGEST)
        assert making.stderr
        said = making.stderr.read().decode(errors="replace")
    if making.returncode == _CANNOT_BE_MADE:
        pytest.skip(said.strip())
    assert making.returncode == 0, said[-2000:]
