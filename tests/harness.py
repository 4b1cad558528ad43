"""What the tests of running processes share: a daemon of their own, targets whose output can be waited for."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from liveso.client.ask import ask_daemon
from liveso.errors import NoDaemon
from liveso.settings import read_settings
from tests.daemons import ForkedDaemon

LIMIT = float(os.environ.get("LIVESO_LIMIT", "120"))  # seconds: generous, for a loaded machine
BIN = Path(sys.executable).parent
LIVESO = BIN / "liveso"
MACHINE = os.environ.get("LIVESO_MACHINE", "")
"""Another machine than this one, whose programs an emulator runs in this one's processes (qemu-user); GNU's name."""


def _installed_agent() -> Path:
    show = "import liveso; print(liveso.__path__[0])"
    return Path(subprocess.check_output([sys.executable, "-Ic", show], text=True).strip()) / "live.so"


AGENT = _installed_agent()
MODE = os.environ.get("LIVESO_MODE", "resident" if MACHINE else "visited")
"""How programs under live.so are reached, where a test does not say it: LIVE_MODE."""
EMULATED = ("aarch64", "riscv64")
"""The machines whose programs tests let an emulator run (qemu-user)."""
_FLAGS: dict[str, dict[str, tuple[str, ...]]] = {
    "aarch64": {
        "-mtls-dialect=gnu2": ("-mtls-dialect=desc",),
        "-fcf-protection=full": ("-mbranch-protection=standard",),
    },
    "riscv64": {"-mtls-dialect=gnu2": (), "-fcf-protection=full": ()},
}
"""What options for this machine are for another one."""
_ALWAYS = {"riscv64": ("-fasynchronous-unwind-tables",)}
"""What compilers of Debian 13 do for a machine, and those of Debian 12 do not."""


def agent_for(machine: str) -> Path:
    """live.so for another machine, as `make agent` builds it."""
    return Path(f"live-{machine}.so").resolve()


def apart(machine: str, compiler: str, flags: tuple[str, ...]) -> tuple[str, ...]:
    """Options with which code reaches each variable by itself. gcc for RISC-V gets from one to an element of an array
    by one number, with an index: which of two arrays that is, no number tells, and where they moved apart, the version
    is refused."""
    is_together = machine == "riscv64" and compiler == "gcc" and "-O2" in flags
    return (*flags, "-fno-section-anchors") if is_together else flags


def _compiler_for(machine: str, compiler: str) -> list[str]:
    if not machine:
        return [compiler]
    target = f"{machine}-linux-gnu"
    return [compiler, f"--target={target}"] if compiler.startswith("clang") else [f"{target}-{compiler}"]


def wait_until(condition: Callable[[], Any], what: str | Callable[[], str], limit: float = LIMIT) -> Any:
    """Wait until `condition` gives something true, and return that. `what` names it, also after the time is over."""
    end, pause = time.monotonic() + limit, 0.002
    while not (found := condition()):
        if time.monotonic() >= end:
            raise AssertionError(f"{what if isinstance(what, str) else what()}: not within {limit:.0f} s")
        time.sleep(pause)
        pause = min(1.5 * pause, 0.05)  # what is asked for its state needs the processor as well
    return found


def let_all_pass(folder: Path) -> None:
    """Let every user come to a folder of a test's, however deep it lies."""
    for it in (folder, *folder.parents):
        if it == Path(tempfile.gettempdir()):
            break
        it.chmod(0o755)


class Program:
    """A running program; its output is collected line by line."""

    def __init__(self, process: subprocess.Popen[str] | ForkedDaemon) -> None:
        self.process = process
        self.lines: list[str] = []
        self.error_lines: list[str] = []
        self._readers = [
            threading.Thread(target=_collect, args=(self.process.stdout, self.lines), daemon=True),
            threading.Thread(target=_collect, args=(self.process.stderr, self.error_lines), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @classmethod
    def start(cls, command: Sequence[str | Path], environment: Mapping[str, str], folder: Path) -> "Program":
        return cls(
            subprocess.Popen(
                [str(part) for part in command],
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_for(self, text: str, after: int = 0) -> str:
        """The first line of output, from the one numbered `after`, that contains `text`."""
        found: str = wait_until(
            lambda: next((line for line in self.lines[after:] if text in line), None) or self._check(text), repr(text)
        )
        return found

    def wait_for_error(self, *texts: str, after: int = 0, count: int = 1) -> str:
        """Wait for `count` lines of standard error, from the one numbered `after`, with all `texts`; the first one."""
        found: list[str] = wait_until(
            lambda: len(lines := self.error_lines_with(*texts, after=after)) >= count and lines,
            lambda: f"{count} × {' … '.join(texts)} among {self.error_lines[after:][-20:]}",
        )
        return found[0]

    def error_lines_with(self, *texts: str, after: int = 0) -> list[str]:
        """The lines of standard error, from the one numbered `after`, in which all of `texts` occur."""
        return [line for line in self.error_lines[after:] if all(text in line for text in texts)]

    def children(self, count: int) -> list[int]:
        """Wait until the main thread has `count` children, and return their process numbers."""
        file = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        found: list[int] = wait_until(
            lambda: len(pids := [int(it) for it in file.read_text().split()]) == count and pids,
            lambda: f"{count} children of {self.pid}: {self.output()}",
        )
        return found

    def thread_states(self) -> set[str]:
        """The states of the threads as proc(5) has them in /proc/PID/stat. One that ends meanwhile has none."""
        states = set()
        for file in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            try:
                states.add(file.read_text().rpartition(")")[2].split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
        return states

    def _check(self, text: str) -> str | None:
        """Nothing, as long as the text may still come."""
        ended = self.process.poll() is not None and not any(reader.is_alive() for reader in self._readers)
        if ended and not any(text in line for line in self.lines):
            raise AssertionError(f"ended with {self.process.returncode} before {text!r}: {self.output()}")
        return None

    def output(self) -> str:
        return "\n".join([*self.lines[-20:], "--- standard error:", *self.error_lines[-20:]])

    def ask(self, line: str) -> None:
        """Write a line to the program's standard input."""
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self) -> int:
        """Close the program's standard input, and wait until it has ended; its exit code."""
        assert self.process.stdin
        if not self.process.stdin.closed:
            self.process.stdin.close()
        code = self.process.wait(LIMIT)
        for reader in self._readers:
            reader.join(LIMIT)
        return code

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def seen_from_here(pid: int, path: str) -> str:
    """The path by which the daemon knows a file of a process with another root."""
    return f"/proc/{pid}/root{path}"


def containing(text: str) -> Callable[[str], bool]:
    """The fact that a text contains another, for `Bench.wait_for_library`."""
    return lambda value: text in value


def _holds(fact: Any, value: Any) -> bool:
    return bool(fact(value)) if callable(fact) else bool(value == fact)


def _collect(stream: Iterable[str], lines: list[str]) -> None:
    for line in stream:
        lines.append(line.rstrip("\n"))


class Bench:
    """A folder with a daemon of its own, in which a test builds libraries and runs programs."""

    def __init__(self, folder: Path, verdicts: Path | None = None, machine: str = MACHINE) -> None:
        """`verdicts` is a folder in which benches leave what large libraries' verdicts were, for the next ones.
        Programs are for another `machine` if that is given, and run in an emulator (qemu-user)."""
        self.folder = folder
        self.machine = machine
        self.verdicts = verdicts
        self.runtime = folder / "runtime"
        self.programs: list[Program] = []
        self.daemon: Program | None = None
        self.leaves_verdicts = False
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LIVE_")},
            "LIVE_SOCKET": str(self.runtime / "liveso.sock"),
            "LIVE_STORE": str(folder / "store"),
            "LIVE_LOGLEVEL": "4",
            "LIVE_DAEMON": str(LIVESO),
            "LIVE_LINGER": "1",
            "LIVE_MODE": "resident" if machine else MODE,
        }

    def take_verdicts(self) -> None:
        """Take the verdicts that earlier tests have left, and leave what comes: for libraries whose verdict takes
        seconds and is not what the test is about. Each is named by both files and the code that judged (KeptVerdicts).
        """
        if self.verdicts and self.verdicts.is_dir():
            kept = self.folder / "store" / "verdicts"
            kept.mkdir(mode=0o700, parents=True, exist_ok=True)
            for file in self.verdicts.glob("*.json"):
                shutil.copy(file, kept)
        self.leaves_verdicts = True

    def _leave_verdicts(self) -> None:
        for file in (self.folder / "store" / "verdicts").glob("*.json"):
            assert self.verdicts
            self.verdicts.mkdir(exist_ok=True)
            if not (self.verdicts / file.name).exists():
                new = self.verdicts / f".{file.name}.{os.getpid()}"
                shutil.copy(file, new)
                os.rename(new, self.verdicts / file.name)

    def start_daemon(self, *options: str) -> Program:
        """Start a daemon in the foreground, and wait until it listens."""
        daemon = Program(ForkedDaemon(options, self.environment, self.folder))
        self.daemon = daemon
        self.programs.append(daemon)
        daemon.wait_for_error("event=started")
        return daemon

    def kill_daemon(self) -> None:
        assert self.daemon
        self.daemon.kill()

    def run(self, *command: str | Path, **environment: str) -> Program:
        """Run a program with live.so."""
        agent, emulator = {"LD_PRELOAD": str(AGENT)}, list[str]()
        if self.machine:
            root = f"/usr/{self.machine}-linux-gnu"
            emulator = [f"qemu-{self.machine}", "-L", root, "-E", f"LD_PRELOAD={agent_for(self.machine)}"]
            agent = {}
        program = Program.start([*emulator, *command], {**self.environment, **agent, **environment}, self.folder)
        self.programs.append(program)
        return program

    def run_plain(self, *command: str | Path, **environment: str) -> Program:
        """Run a program without live.so."""
        program = Program.start(command, {**self.environment, **environment}, self.folder)
        self.programs.append(program)
        return program

    def status(self) -> list[dict[str, Any]]:
        """The targets, as `liveso status --json` prints them; none while no daemon answers."""
        try:
            targets: list[dict[str, Any]] = ask_daemon(read_settings(self.environment), "/status")["targets"]
        except NoDaemon:
            return []
        return targets

    def library(self, pid: int, name: str) -> dict[str, Any]:
        """What `status` says of a library in a target, waiting until it is known."""

        def find() -> dict[str, Any] | None:
            for target in self.status():
                if target["pid"] == pid:
                    for library in target["libraries"]:
                        if Path(library["path"]).name == name and library["version"]:
                            return dict(library)
            return None

        found: dict[str, Any] = wait_until(find, f"{name} of {pid} in status")
        return found

    def wait_for_library(self, pid: int, name: str, **facts: Any) -> dict[str, Any]:
        """Wait until `status` says all of `facts` of a library in a target: its state changes after what causes that,
        so that what it says at some moment proves nothing. A callable is asked about the value."""
        last: dict[str, Any] = {}

        def find() -> dict[str, Any] | None:
            last.update(self.library(pid, name))
            return last if all(_holds(fact, last[key]) for key, fact in facts.items()) else None

        def wanted_and_said() -> str:
            return f"{name} in {pid} with {facts}, of which status said {last}"

        found: dict[str, Any] = wait_until(find, wanted_and_said)
        return dict(found)

    def wait_for_result(self, pid: int, name: str, result: str) -> dict[str, Any]:
        """Wait until the last result for a library in a target is `result`."""
        return self.wait_for_library(pid, name, result=result)

    def log_lines(self, *texts: str, after: int = 0) -> list[str]:
        """The lines of the daemon's log so far, from the one numbered `after`, in which all of `texts` occur."""
        assert self.daemon
        return self.daemon.error_lines_with(*texts, after=after)

    def log_length(self) -> int:
        """The number of lines in the daemon's log so far: where to wait from for what an act causes."""
        assert self.daemon
        return len(self.daemon.error_lines)

    def wait_for_log(self, *texts: str, after: int = 0, count: int = 1) -> str:
        """Wait until the daemon's log has `count` lines with all of `texts` in them, and return the first."""
        assert self.daemon
        return self.daemon.wait_for_error(*texts, after=after, count=count)

    def compile(self, source: str | Path, output: str, *flags: str, compiler: str = "gcc") -> Path:
        """Compile C (or C++) source text, or a source file, below this folder."""
        path = self.folder / output
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, str):
            file = path.with_suffix(path.suffix + (".cc" if compiler.endswith("++") else ".c"))
            file.write_text(source)
        else:
            file = source
        # the linker's output is complete when it is renamed to its place
        command = _compiler_for(self.machine, compiler)
        flags = tuple(flag for it in flags for flag in _FLAGS.get(self.machine, {}).get(it, (it,)))
        always = _ALWAYS.get(self.machine, ())
        subprocess.run([*command, str(file), "-o", f"{path}.new", *always, *flags], check=True, cwd=self.folder)
        os.rename(f"{path}.new", path)
        return path

    def wait_for_version(self, file: str | Path, name: str, *pids: int) -> None:
        """Wait until each process runs, as library `name`, the version that `file` holds."""
        digest = hashlib.sha256((self.folder / file).read_bytes()).hexdigest()
        for pid in pids:
            self.wait_for_library(pid, name, version=digest)

    def update(self, file: str, name: str, *pids: int) -> None:
        """Lead the link `name` to `file`, and wait until each process runs that."""
        self.link(file, name)
        self.wait_for_version(file, name, *pids)

    def update_or_refusal(self, file: str, name: str, pid: int) -> str:
        """Lead the link `name` to `file`, and wait until the process runs that, or has refused it; the result."""
        digest = hashlib.sha256((self.folder / file).read_bytes()).hexdigest()
        self.link(file, name)

        def find() -> str:
            library = self.library(pid, name)
            return library["result"] if library["result"] == "refused" or library["version"] == digest else ""

        found: str = wait_until(find, f"an answer for {file} as {name} in {pid}")
        return found

    def link(self, target: str, name: str) -> None:
        """Lead the symbolic link `name` to `target`, as `ln -sf` does."""
        subprocess.run(["ln", "-sfn", target, name], check=True, cwd=self.folder)

    def close(self) -> None:
        for program in self.programs:
            program.kill()
        pid = next(iter(self.runtime.glob("*.lock")), None)
        if pid and (text := pid.read_text().strip()):
            try:
                os.kill(int(text), signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.leaves_verdicts:
            self._leave_verdicts()
        shutil.rmtree(self.folder / "store", ignore_errors=True)
