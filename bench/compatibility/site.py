"""Where one subject runs: a folder with a daemon of its own, the libraries that change, and the program's processes."""

import fcntl
import hashlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liveso.client.ask import ask_daemon
from liveso.errors import NoDaemon
from liveso.settings import read_settings
from tests.harness import AGENT, Bench

_LIMIT = 60.0  # seconds, to start
_CRASH = re.compile(r".*(?:exited on|exit|terminated by) signal (?!(?:SIG)?(?:INT|TERM|KILL)\b|2\b|9\b|15\b).*")
_USER, _GROUP = "nobody", "nogroup"


class Broken(Exception):
    """The program does not run as it should."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """A process of the program that has loaded the library `name`."""

    pid: int
    name: str


class Site:
    """A folder that holds one subject. `root` is where the program is unpacked, `libraries` what its libraries are
    replaced in."""

    def __init__(self, folder: Path, root: Path, client_roots: dict[str, Path]) -> None:
        self.folder, self.root, self.client_roots = folder, root, client_roots
        folder.chmod(0o755)  # programs that give up root's rights go on to use what is in here
        self.libraries = folder / "lib"
        self.libraries.mkdir()
        self.agent = Path(shutil.copy(AGENT, folder / "live.so"))
        self.port = _free_port()
        self.bench = Bench(folder)
        self._lock = folder / "lock"
        self.bench.environment["LIVE_PACKAGE_LOCKS"] = str(self._lock)
        self.bench.start_daemon()
        self.started: list[subprocess.Popen[bytes]] = []
        self.clients: list[subprocess.Popen[bytes]] = []
        self._log = (folder / "log").open("wb")

    # --- the libraries on disk

    def install(self, files: Mapping[str, Path]) -> None:
        """Put files in the places of libraries, as dpkg does: under a lock, all are written beside, then renamed."""
        with self._lock.open("w") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            for library, file in files.items():
                shutil.copyfile(file, self.libraries / f"{library}.dpkg-new")
            for library in files:
                (self.libraries / f"{library}.dpkg-new").rename(self.libraries / library)

    # --- programs

    def environment(self, root: Path | None = None, with_agent: bool = True) -> dict[str, str]:
        root = root or self.root
        folders = [root / "usr/lib/x86_64-linux-gnu", root / "usr/lib"]
        path = [self.libraries, *folders] if with_agent else folders
        preload = {"LD_PRELOAD": str(self.agent), "LIVE_LOGLEVEL": "1"} if with_agent else {}
        return {**self.bench.environment, "LD_LIBRARY_PATH": ":".join(map(str, path)), **preload}

    def start(
        self,
        *command: str | Path,
        client: bool = False,
        with_agent: bool = True,
        as_root: bool = True,
        root: Path | None = None,
        **environment: str,
    ) -> subprocess.Popen[bytes]:
        """Start a program in the folder, with live.so and the libraries that change or without them. A `client` is
        talked to by its standard input and output. Some programs refuse to run `as_root`."""
        stream = subprocess.PIPE if client else subprocess.DEVNULL
        process = subprocess.Popen(
            [str(it) for it in command],
            cwd=self.folder,
            env={**self.environment(root, with_agent), **environment},
            stdin=stream,
            stdout=stream if client else self._log,
            stderr=self._log,
            process_group=0,
            **_other_user(as_root),
        )
        self.started.append(process)
        if client:
            self.clients.append(process)
        return process

    def run(self, *command: str | Path, as_root: bool = True) -> None:
        """Run a program that prepares something, without live.so, to its end. Raises Broken."""
        done = subprocess.run(
            [str(it) for it in command],
            cwd=self.folder,
            env=self.environment(with_agent=False),
            capture_output=True,
            check=False,
            **_other_user(as_root),
        )
        if done.returncode != 0:
            raise Broken(f"{Path(command[0]).name} fails: {done.stderr.decode(errors='replace')[-300:]}")

    def compile(self, source: Path, *libraries: str) -> Path:
        """Compile a client and link it to libraries of the site, by their SONAMEs."""
        program = self.folder / source.stem
        linked = [f"-l:{name}" for name in libraries]
        folders = [f"-L{self.libraries}", f"-L{self.root}/usr/lib/x86_64-linux-gnu"]
        command = ["gcc", "-O2", "-Wall", str(source), "-o", str(program), *folders, "-Wl,--no-as-needed", *linked]
        done = subprocess.run([*command, "-Wl,--allow-shlib-undefined"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Broken(f"{source.name} cannot be compiled: {done.stderr[-300:]}")
        return program

    def give(self, path: Path) -> None:
        """Make something the property of the user that a program runs as which does not run as root."""
        if is_root():
            shutil.chown(path, _USER, _GROUP)

    def copy_of_root(self) -> Path:
        """The unpacked program in this folder, where other users can read it: the cache lies in root's home. From then
        on programs take their libraries from there, too: what the machine has installed must play no part."""
        copy = self.folder / "root"
        if not copy.exists():
            linked = subprocess.run(["cp", "-al", self.root, copy], capture_output=True, check=False)
            if linked.returncode != 0:  # another file system
                shutil.rmtree(copy, ignore_errors=True)
                subprocess.run(["cp", "-a", self.root, copy], check=True)
        self.root = copy
        return copy

    def make_certificate(self) -> None:
        request = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
        names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        subprocess.run([*request.split(), *names], check=True, cwd=self.folder, capture_output=True)
        self.give(self.folder / "key.pem")

    def wait_for_port(self, port: int | None = None) -> None:
        """Wait until the program listens. Raises Broken."""

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port or self.port)) == 0

        self.wait_until(answers, "it does not listen")

    def wait_until(self, condition: Callable[[], bool], problem: str) -> None:
        end = time.monotonic() + _LIMIT
        while not condition():
            self.check()
            if time.monotonic() > end:
                raise Broken(f"{problem}: {self.log()[-500:]}")
            time.sleep(0.05)

    # --- what goes on

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def daemon_log(self) -> list[str]:
        return self.bench.daemon.error_lines if self.bench.daemon else []

    def check(self) -> None:
        """Raises Broken where a program has ended, or one of its processes crashed, or the daemon is in trouble."""
        for process in self.started:
            if process.poll() is not None:
                raise Broken(f"{_name(process)} ended with {process.returncode}: {self.log()[-500:]}")
        if crash := _CRASH.search(self.log()):
            raise Broken(f"a process crashed: {crash[0]}")
        for line in self.daemon_log():
            if "event=internal-error" in line:
                raise Broken(f"the daemon is in trouble: {line}")

    def processes(self) -> list[int]:
        """The processes of the program, those that it has made too."""
        children: dict[int, list[int]] = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and (parent := _parent(folder)):
                children.setdefault(parent, []).append(int(folder.name))
        return list(_descendants([it.pid for it in self.started], children))

    def mapped(self, names: Iterable[str]) -> set[Mapped]:
        """Which processes have loaded which of the libraries."""
        found = set()
        for pid in self.processes():
            try:
                text = Path(f"/proc/{pid}/maps").read_text()
            except OSError:
                continue  # it has just ended
            found |= {Mapped(pid, name) for name in names if f"{self.libraries}/{name}" in text}
        return found

    def status(self) -> dict[Mapped, dict[str, Any]]:
        """What the daemon says of each library of each process. It is asked from here, since a command that is started
        again and again would be a load of its own."""
        try:
            answer = ask_daemon(read_settings(self.bench.environment), "/status", limit=30)
        except NoDaemon as error:
            raise Broken(f"the daemon does not answer: {error}") from error
        return {
            Mapped(target["pid"], Path(it["path"]).name): {**it, "note": target["note"]}
            for target in answer["targets"]
            for it in target["libraries"]
            if Path(it["path"]).parent == self.libraries
        }

    def close(self) -> None:
        pids = self.processes()
        for process in self.started:
            process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in pids:
            if str(self.folder) in _environment(pid):  # not ended with its parent; no other process by this number
                os.kill(pid, signal.SIGKILL)
        self._log.close()
        self.bench.close()


class Pipe:
    """The connection to a client that answers each line with one line."""

    def __init__(self, process: subprocess.Popen[bytes], judge: Callable[[int, str], str]) -> None:
        self._process, self._judge = process, judge

    def request(self, number: int) -> str:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{number}\n".encode())
        self._process.stdin.flush()
        answer = b""
        while not answer.endswith(b"\n"):
            if not select.select([self._process.stdout], [], [], 10)[0]:
                raise TimeoutError("no answer")
            part = os.read(self._process.stdout.fileno(), 65536)
            if not part:
                raise EOFError("the client ended")
            answer += part
        return self._judge(number, answer.decode().rstrip("\n"))

    def close(self) -> None:
        pass


def is_root() -> bool:
    return os.geteuid() == 0


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _other_user(as_root: bool) -> dict[str, Any]:
    return {} if as_root or not is_root() else {"user": _USER, "group": _GROUP, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _name(process: subprocess.Popen[bytes]) -> str:
    assert isinstance(process.args, list)
    return Path(str(process.args[0])).name


def _parent(folder: Path) -> int:
    try:
        return int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _environment(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""


def _descendants(pids: list[int], children: dict[int, list[int]]) -> Iterator[int]:
    for pid in pids:
        yield pid
        yield from _descendants(children.get(pid, []), children)
