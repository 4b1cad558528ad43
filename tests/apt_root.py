"""This machine's system as an upper layer of its own (overlayfs), in which apt installs packages that a test builds."""

import gzip
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.harness import Program, wait_until

_LIBRARIES = "usr/lib/liveso-probe"
_MOUNT = """
mount -t tmpfs none layer && mkdir layer/upper layer/work &&
mount -t overlay overlay -o lowerdir=/,upperdir=layer/upper,workdir=layer/work root &&
mount -t proc none root/proc && mount --rbind /dev root/dev && mount -t tmpfs none root/run && echo ready && exec cat
"""
_SOURCES = "deb [trusted=yes] file:/repository ./\n"


class AptRoot:
    """A root below `folder` with a file system and processes of its own, in which commands run: a daemon there, which
    is root's, sees no others. All of it goes with its first process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("layer", "root"):
            (folder / name).mkdir()
        options = ["--mount", "--pid", "--fork", "--kill-child=KILL", "--propagation", "private"]
        self._holder = Program.start(["unshare", *options, "sh", "-c", _MOUNT], os.environ, folder)
        self._holder.wait_for("ready")
        (self._first,) = self._holder.children(1)
        self.write("etc/apt/sources.list", _SOURCES)
        self.run("sh", "-c", "rm -rf /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/50liveso; mkdir -p /repository")

    def command(self, *command: str | Path) -> list[str]:
        """A command as it is run in the root."""
        inside = ["chroot", str(self.folder / "root"), *map(str, command)]
        return ["nsenter", "--mount", "--pid", f"--target={self._first}", *inside]

    def run(self, *command: str | Path, **options: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVE_")} | options
        return subprocess.run(self.command(*command), env=environment, check=True, capture_output=True, text=True)

    def start(self, *command: str | Path, environment: Mapping[str, str]) -> Program:
        return Program.start(self.command(*command), environment, self.folder)

    def write(self, path: str, content: str | bytes) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        script = 'mkdir -p "$(dirname "/$1")" && cat > "/$1"'
        subprocess.run(self.command("sh", "-c", script, "sh", path), input=data, check=True)

    def apt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run apt-get; its standard error comes with its output."""
        command = self.command("apt-get", "-q", "-y", "--allow-downgrades", *arguments)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        return done

    def close(self) -> None:
        self._holder.kill()


def build_package(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, Path | str],
    entries: Sequence[tuple[str, str]],
    mode: int = 0o644,
) -> Path:
    """A package with files, or links, and a changelog with an entry for each version, newest first."""
    tree = folder / f"{name}_{version}"
    for path, source in files.items():
        place = tree / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, Path):
            place.write_bytes(source.read_bytes())
            place.chmod(mode)
        else:
            place.symlink_to(source)
    control = tree / "DEBIAN/control"
    control.parent.mkdir()
    control.write_text(
        f"Package: {name}\nSource: {name.rstrip('0123456789')}\nVersion: {version}\nArchitecture: amd64\n"
        "Maintainer: Nobody <nobody@example.org>\nDescription: a probe\n"
    )
    document = tree / f"usr/share/doc/{name}/changelog.Debian.gz"
    document.parent.mkdir(parents=True)
    document.write_bytes(gzip.compress(changelog(name.rstrip("0123456789"), entries).encode()))
    archive = folder / f"{name}_{version.replace(':', '%3a')}_amd64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, archive], check=True, stdout=subprocess.DEVNULL)
    return archive


def changelog(source: str, entries: Sequence[tuple[str, str]]) -> str:
    return "".join(
        f"{source} ({version}) stable; urgency=medium\n\n  * {text}\n\n"
        " -- Nobody <nobody@example.org>  Mon, 02 Feb 2026 02:02:02 +0000\n\n"
        for version, text in entries
    )


def offer(root: AptRoot, archives: Sequence[Path]) -> None:
    """Let apt know packages, and no others."""
    for it in archives:
        root.write(f"repository/{it.name}", it.read_bytes())
    root.run("sh", "-c", "cd /repository && dpkg-scanpackages -m . > Packages")
    root.apt("update")


def wait_for_line(program: Program, text: str) -> str:
    found: str = wait_until(lambda: next((it for it in program.error_lines if text in it), ""), text)
    return found
