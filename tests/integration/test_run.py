"""`liveso run`: the program gets what it would have had, and live.so."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness import AGENT, LIVESO, Bench

PROGRAM = '#include <stdio.h>\nint main(void) { puts("it runs"); return 7; }\n'


def run(bench: Bench, *command: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    environment = {**bench.environment, "LIVE_DISABLE": "1", **options.pop("env", {})}
    return subprocess.run(
        [LIVESO, "run", *command],
        env=environment,
        cwd=bench.folder,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_the_program_has_its_own_arguments_and_exit_code(idle_bench: Bench) -> None:
    done = run(idle_bench, "--", "sh", "-c", 'echo "$0" "$@"; exit 7', "--help", "-v", "--", "x")
    assert (done.returncode, done.stdout, done.stderr) == (7, "--help -v -- x\n", "")


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("nowhere", 127, "nowhere: there is no such program on the PATH"),
        ("./nowhere", 127, "./nowhere: there is no such program"),
        ("./", 126, "./: is a directory, not a program"),
        ("./plain", 126, "./plain: is not executable: permission denied"),
        ("./orphan", 126, "./orphan: cannot be run: the interpreter that it names is not there"),
        ("./text", 126, "./text: cannot be run: Exec format error"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(idle_bench: Bench, name: str, code: int, said: str) -> None:
    (idle_bench.folder / "plain").write_text("")
    for executable, text in (("orphan", "#!/nowhere/sh\n"), ("text", "text\n")):
        (idle_bench.folder / executable).write_text(text)
        (idle_bench.folder / executable).chmod(0o755)
    done = run(idle_bench, name)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.endswith(f"{said}\n") and done.stderr.startswith("liveso: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("flags", [("-static",), ("-static-pie",)])
def test_a_static_program_runs_and_is_told_to_be_one(idle_bench: Bench, flags: tuple[str, ...]) -> None:
    idle_bench.compile(PROGRAM, "program", *flags)
    done = run(idle_bench, "./program")
    assert (done.returncode, done.stdout) == (7, "it runs\n")
    assert done.stderr == "liveso: ./program: live.so has no effect on it: it is statically linked\n"


def test_nothing_is_said_where_live_so_has_its_effect(idle_bench: Bench) -> None:
    idle_bench.compile(PROGRAM, "program")
    assert run(idle_bench, "./program").stderr == ""
    assert run(idle_bench, "/lib64/ld-linux-x86-64.so.2", "./program").stderr == ""


def test_a_program_of_another_user_with_the_setuid_bit_is_told(idle_bench: Bench) -> None:
    """Not one's own, on which the bit has no effect."""
    idle_bench.compile(PROGRAM, "program")
    program = idle_bench.folder / "program"
    program.chmod(0o4755)
    assert run(idle_bench, "./program").stderr == ""
    other = next(it for it in ("/usr/bin/su", "/usr/bin/passwd", "/usr/bin/sudo") if os.path.exists(it))
    if os.getuid() == 0:
        os.chown(program, 65534, 65534)
        program.chmod(0o4755)
        other = "./program"
    assert "gets the rights of another user (setuid)" in run(idle_bench, other, "--help").stderr


def test_live_so_is_preloaded_once(idle_bench: Bench) -> None:
    def preloaded(before: str) -> "subprocess.CompletedProcess[str]":
        return run(idle_bench, "sh", "-c", "echo $LD_PRELOAD", env={"LD_PRELOAD": before})

    other = idle_bench.compile("int other;", "libother.so", "-shared", "-fPIC")
    assert preloaded("").stdout == f"{AGENT}\n"
    assert preloaded(str(other)).stdout == f"{AGENT}:{other}\n"
    for before in (f"{other}:{AGENT}", f"{AGENT} {other}"):
        done = preloaded(before)
        assert (done.stdout, done.stderr) == (f"{before}\n", "")
    link = idle_bench.folder / "live.so"
    link.symlink_to(AGENT)
    assert (preloaded(str(link)).stdout, preloaded(str(link)).stderr) == (f"{link}\n", "")
    link.unlink()
    link.write_bytes(AGENT.read_bytes())
    done = preloaded(str(link))
    assert done.stdout == f"{link}\n" and f"LD_PRELOAD has {link} already" in done.stderr


def test_the_program_has_the_environment_and_signals_that_it_would_have_had(idle_bench: Bench) -> None:
    """Python sets LC_CTYPE where no locale is set (PEP 538), and ignores SIGPIPE."""
    plain = {"PATH": os.environ["PATH"], "LIVE_DISABLE": "1", "LIVE_SOCKET": idle_bench.environment["LIVE_SOCKET"]}
    shown = subprocess.check_output([LIVESO, "run", "env"], env=plain, text=True).splitlines()
    names = {line.partition("=")[0] for line in shown}
    assert names == {*plain, "LD_PRELOAD", "LIVE_LOGLEVEL", "LIVE_DAEMON"}
    ignored = [
        next(line for line in text.splitlines() if line.startswith("SigIgn"))
        for text in (run(idle_bench, "cat", "/proc/self/status").stdout, _plain_status())
    ]
    assert ignored[0] == ignored[1]


def _plain_status() -> str:
    return subprocess.check_output(["cat", "/proc/self/status"], text=True)


def test_the_command_that_starts_the_daemon_is_one_that_can_be_run(idle_bench: Bench) -> None:
    environment = {name: value for name, value in idle_bench.environment.items() if name != "LIVE_DAEMON"}
    environment["LIVE_DISABLE"] = "1"
    ask = ["run", "sh", "-c", "echo $LIVE_DAEMON"]
    assert subprocess.check_output([LIVESO, *ask], env=environment, text=True) == f"{LIVESO.resolve()}\n"
    module = [str(LIVESO.parent / "python"), "-m", "liveso"]
    shown = subprocess.check_output([*module, *ask], env=environment, text=True).strip()
    assert not shown or os.access(Path(shown), os.X_OK)
