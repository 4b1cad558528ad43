"""`liveso restart-needed` and `liveso restart`: real processes, real daemons, and a systemctl that keeps a state."""

import hashlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from liveso.process.memory_map import mappings
from tests.harness import LIVESO, Bench, Program, let_all_pass
from tests.listeners import command, http
from tests.unit.test_other_daemons import SERVE
from tests.users import ALONE, VICTIM

PROGRAM = """
#include <stdio.h>
int one(void), two(void);
int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    do
        printf("%d %d\\n", one(), two());
    while (getchar() >= 0);
}
"""
SHARED = ("-fPIC", "-shared", "-O2")
HIERARCHIES = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
SYSTEMCTL = """#!/bin/sh
cd "$(dirname "$0")/state" || exit 1
echo "$*" >>log
case "$*" in
"show --property=NRestarts --value -- "*) cat "$5.restarts" 2>/dev/null || echo 0 ;;
"show --property="*) shift 3; for unit; do cat "$unit.show" 2>/dev/null && echo; done ;;
"is-active -- "*) cat "$3.state"; grep -qx active "$3.state" ;;
"restart "* | "reload "*) [ ! -e "$2.broken" ] || { echo "Job for $2 failed because of its state." >&2; exit 1; }
    if [ -e "$2.ends" ]; then echo failed; else echo active; fi >"$2.state" ;;
*) exit 1 ;;
esac
"""


def build(bench: Bench) -> None:
    for name in ("one", "two"):
        replace(bench, name, 1)
    bench.compile(PROGRAM, "program", "-L.", "-lone", "-ltwo", f"-Wl,-rpath,{bench.folder}")


def replace(bench: Bench, name: str, version: int, *flags: str) -> None:
    """Put a version in the place of the one before, as package managers do."""
    bench.compile(f"int {name}(void) {{ return {version}; }}", f"lib{name}.so", *SHARED, *flags)


def needed(bench: Bench, **variables: str) -> dict[int, dict[str, str]]:
    """Why processes are to be started anew: by process, the reason of each library."""
    done = command({**bench.environment, **variables}, "restart-needed", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == bool(answer["needed"])
    return {
        process["pid"]: {Path(it["path"]).name: it["why"] for it in process["reasons"]}
        for need in answer["needed"]
        for process in need["processes"]
    }


def test_what_is_in_force_is_not_needed_and_what_was_refused_is(bench: Bench) -> None:
    build(bench)
    both, none = bench.run("./program"), bench.run_plain("./program")
    for it in (both, none):
        it.wait_for("1 1")
    bench.library(both.pid, "libone.so")
    before = needed(bench)
    assert both.pid not in before and none.pid not in before
    replace(bench, "one", 2)
    bench.wait_for_result(both.pid, "libone.so", "updated")
    assert "(deleted)" in Path(f"/proc/{both.pid}/maps").read_text()
    found = needed(bench)
    assert both.pid not in found
    assert found[none.pid] == {"libone.so": "replaced on disk since it was loaded"}
    replace(bench, "two", 2, "-Wl,-soname,libtwo.so.2")
    bench.wait_for_result(both.pid, "libtwo.so", "refused")
    found = needed(bench)
    assert found[both.pid].keys() == {"libtwo.so"} and "refused: " in found[both.pid]["libtwo.so"]
    assert found[none.pid].keys() == {"libone.so", "libtwo.so"}
    shown = command(bench.environment, "restart-needed")
    assert shown.returncode == 1 and "end and start program again" in shown.stdout
    assert "no daemon answers" not in shown.stderr
    monitor = command(bench.environment, "restart-needed", "--nagios")
    assert monitor.returncode == 1 and monitor.stdout.startswith("LIVESO WARNING - ")


@pytest.mark.parametrize("is_in_place", [False, True])
def test_a_file_that_changed_after_the_daemon_looked_is_needed(bench: Bench, is_in_place: bool) -> None:
    build(bench)
    first = (bench.folder / "libone.so").read_bytes()
    replace(bench, "one", 2)
    second = (bench.folder / "libone.so").read_bytes()
    (bench.folder / "libone.so").write_bytes(first)
    bench.kill_daemon()
    bench.environment["LIVE_SETTLE"] = "600000"  # ms
    bench.start_daemon()
    program = bench.run("./program")
    program.wait_for("1 1")
    bench.wait_for_library(program.pid, "libone.so", in_force=True)
    assert program.pid not in needed(bench)
    (bench.folder / "new").write_bytes(second)
    if is_in_place:  # then the process gets a copy of what it runs, and no file of it is replaced
        (bench.folder / "libone.so").write_bytes(second)
    else:
        (bench.folder / "new").rename(bench.folder / "libone.so")
    assert bench.library(program.pid, "libone.so")["in_force"]
    assert needed(bench)[program.pid]["libone.so"].endswith("liveso has not brought in what lies on disk now")
    bench.kill_daemon()
    notes = json.loads(command(bench.environment, "restart-needed", "--json").stdout)["notes"]
    assert any("liveso brought in" in it and str(program.pid) in it for it in notes) is is_in_place


def test_a_file_with_the_same_content_is_not_needed(bench: Bench) -> None:
    build(bench)
    program = bench.run("./program")
    program.wait_for("1 1")
    bench.library(program.pid, "libone.so")
    (bench.folder / "copy").write_bytes((bench.folder / "libone.so").read_bytes())
    (bench.folder / "copy").rename(bench.folder / "libone.so")
    assert program.pid not in needed(bench)


def test_a_plain_user_sees_what_is_theirs_also_without_a_daemon(idle_bench: Bench) -> None:
    bench = idle_bench
    build(bench)
    let_all_pass(bench.folder)
    own = {**bench.environment, "HOME": "/nowhere", "LIVE_SOCKET": f"{bench.folder}/none.sock"}
    as_user = ["setpriv", f"--reuid={ALONE}", f"--regid={ALONE}", "--clear-groups"]
    foreign = bench.run_plain("./program")
    program = Program.start([*as_user, "./program"], own, bench.folder)
    bench.programs.append(program)
    for it in (program, foreign):
        it.wait_for("1 1")

    def ask() -> "subprocess.CompletedProcess[str]":
        asked = [*as_user, str(LIVESO), "restart-needed", "--json"]
        return subprocess.run(asked, env=own, capture_output=True, text=True, check=False)

    before = ask()
    assert before.returncode == 0 and json.loads(before.stdout)["needed"] == []
    replace(bench, "one", 2)
    after = ask()
    (need,) = json.loads(after.stdout)["needed"]
    assert after.returncode == 1 and need["user"] == ALONE
    assert [it["pid"] for it in need["processes"]] == [program.pid]
    assert "no daemon answers" in " ".join(json.loads(after.stdout)["notes"])


def test_what_a_process_that_changed_its_root_has_mapped_is_not_sought_there(bench: Bench) -> None:
    """As services do that go into a folder of their own once they have loaded everything."""
    source = r"""
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <unistd.h>
int main(int count, char **names) {
	if (count != 2 || unshare(CLONE_NEWNS) || chroot(names[1]) || chdir("/"))
		return 1;
	puts("ready");
	return fflush(stdout) || pause();
}
"""
    program = bench.compile(source, "goes")
    libc = next(it.file.path for it in mappings(os.getpid(), os.getpid()) if "libc.so" in it.file.path)
    for path in (str(program), libc):
        other = bench.folder / "root" / path.lstrip("/")
        other.parent.mkdir(parents=True)
        other.write_text("another file")
    goes = bench.run_plain("./goes", bench.folder / "root")
    goes.wait_for("ready")
    assert goes.pid not in needed(bench)


@pytest.fixture
def units(bench: Bench) -> Iterator["Units"]:
    found = Units(bench)
    yield found
    found.close()


class Units:
    """Programs in control groups that are named as systemd does, and a systemctl that says what a test wants."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.folders: list[Path] = []
        self.state = bench.folder / "bin" / "state"
        self.state.mkdir(parents=True)
        systemctl = bench.folder / "bin" / "systemctl"
        systemctl.write_text(SYSTEMCTL)
        systemctl.chmod(0o755)
        self.variables = {"PATH": f"{systemctl.parent}:{os.environ['PATH']}"}

    def start(self, unit: str, **properties: str) -> Program:
        program = self.bench.run_plain("./program")
        program.wait_for("1 1")
        self.move(program, f"liveso-{os.getpid()}.slice", unit)
        values = {"Id": unit, "MainPID": str(program.pid), "Type": "simple", **properties}
        (self.state / f"{unit}.show").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        (self.state / f"{unit}.state").write_text("active\n")
        return program

    def move(self, program: Program, *names: str) -> None:
        """Put a program into the control group of these names."""
        for hierarchy in HIERARCHIES:
            try:
                if not (Path(hierarchy) / "cgroup.procs").exists():
                    continue
                folder = Path(hierarchy)
                for name in names:
                    folder /= name
                    folder.mkdir(exist_ok=True)
                    self.folders.insert(0, folder)
                (folder / "cgroup.procs").write_text(str(program.pid))
                return
            except OSError:
                continue
        pytest.skip("no control group can be made here")

    def mark(self, unit: str, what: str) -> None:
        (self.state / f"{unit}.{what}").touch()

    def acts(self) -> list[str]:
        lines = (self.state / "log").read_text().splitlines()
        return [line for line in lines if not line.startswith(("show", "is-active"))]

    def liveso(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return command({**self.bench.environment, **self.variables}, *arguments)

    def close(self) -> None:
        for program in self.bench.programs:
            program.kill()
        for folder in self.folders:
            with suppress(OSError):  # it is another one's, too, or gone
                folder.rmdir()


def ways(units: Units) -> dict[str, Any]:
    return {
        it["name"]: it["mend"]["text"] for it in json.loads(units.liveso("restart-needed", "--json").stdout)["needed"]
    }


def test_units_are_mended_one_after_the_other_up_to_the_first_that_does_not_come_up(units: Units) -> None:
    build(units.bench)
    names = [f"{letter}{os.getpid()}.service" for letter in "abcd"]
    a, b, c, d = names
    for name in names:
        units.start(name)
    ssh = units.start("ssh.service", CanReload="yes", ExecReload="{ argv[]=/bin/kill -HUP $MAINPID ; }")
    replace(units.bench, "one", 2)
    found = ways(units)
    assert found["ssh.service"] == "systemctl reload ssh.service" and ssh.pid
    assert [found[name] for name in names] == [f"systemctl restart {name}" for name in names]
    every = f"ssh.service,{','.join(names)}"
    asked = units.liveso("restart", "--units", every)
    assert asked.returncode == 2 and "--yes" in asked.stderr and asked.stderr.count("\n") == 1
    assert units.acts() == []
    units.mark(c, "ends")
    done = units.liveso("restart", "--yes", "--units", every)
    assert units.acts() == ["reload ssh.service", f"restart {a}", f"restart {b}", f"restart {c}"]
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "ssh.service: reloaded and active",
        f"{a}: restarted and active",
        f"{b}: restarted and active",
    ]
    assert (
        lines[3].startswith(f"{c}: systemctl restart {c}: it is failed")
        and lines[4] == f"stopped there; not touched: {d}"
    )
    units.mark(a, "broken")
    broken = units.liveso("restart", "--yes", "-u", a.removesuffix(".service"))
    assert broken.returncode == 1 and "Job for" in broken.stdout
    unknown = units.liveso("restart", "--yes", "--units", "no-such-unit")
    assert unknown.returncode == 2 and unknown.stderr.startswith("liveso: no-such-unit.service is none of what")


def on_a_terminal(units: Units, answer: str, *arguments: str) -> tuple[int, str]:
    """What `liveso` says on a terminal on which somebody gives an answer, and its exit code."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [str(LIVESO), *arguments],
        env={**units.bench.environment, **units.variables, "TERM": "dumb", "COLUMNS": "200"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    with suppress(OSError):  # EIO: nobody has the terminal open any more
        while part := os.read(master, 65536):
            shown += part
            if shown.endswith(b"[y/N]: "):
                os.write(master, answer.encode())
    os.close(master)
    return process.wait(60), shown.decode()


def test_a_person_is_asked_first(units: Units) -> None:
    build(units.bench)
    unit = f"one{os.getpid()}.service"
    units.start(unit)
    replace(units.bench, "one", 2)
    code, shown = on_a_terminal(units, "n\n", "restart", "--units", unit)
    assert code == 1 and f"systemctl restart {unit} — 1 process" in shown and "nothing was done" in shown
    assert units.acts() == []
    code, shown = on_a_terminal(units, "y\n", "restart", "--units", unit)
    assert code == 0 and f"{unit}: restarted and active" in shown and units.acts() == [f"restart {unit}"]


AS_ROOTS = """
mount -t tmpfs none /run && mkdir -p "$FOLDER" && chown -R "$USER_ID" "$FOLDER" &&
{ "$PYTHON" -c "$SERVE" "$FOLDER/liveso.sock.api" "$USER_ID" <answer >served &
until grep -q ready served; do sleep 0.05; done
"$LIVESO" restart-needed --json; "$LIVESO" status --json >&2; kill $!; }
"""


def asked_by_root(bench: Bench, answer: bytes) -> tuple[dict[int, list[str]], dict[str, Any]]:
    """What `restart-needed` and `status` say where a user's daemon is the only one: reasons by process, and all."""
    (bench.folder / "answer").write_bytes(answer)
    (bench.folder / "served").write_text("")
    variables = {name: value for name, value in bench.environment.items() if not name.startswith("LIVE_")}
    variables |= {"FOLDER": f"/run/user/{VICTIM}/liveso", "USER_ID": str(VICTIM), "SERVE": SERVE}
    variables |= {"PYTHON": sys.executable, "LIVESO": str(LIVESO), "LIVE_CONFIG": os.devnull}
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", AS_ROOTS]
    done = subprocess.run(command, env=variables, cwd=bench.folder, capture_output=True, text=True, check=False)
    needs = json.loads(done.stdout)["needed"]
    status = done.stderr[: done.stderr.rindex("}") + 1]
    found = {it["pid"]: [reason["why"] for reason in it["reasons"]] for need in needs for it in need["processes"]}
    return found, json.loads(status)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root asks other users' daemons")
def test_a_users_daemon_is_believed_of_what_runs_in_their_sessions(units: Units) -> None:
    bench = units.bench
    build(bench)
    let_all_pass(bench.folder)
    as_victim = ["setpriv", f"--reuid={VICTIM}", f"--regid={VICTIM}", "--clear-groups"]
    program = bench.run_plain(*as_victim, "./program")
    program.wait_for("1 1")
    replace(bench, "one", 2)
    maps = Path(f"/proc/{program.pid}/maps").read_text().splitlines()
    device, inode = next(it.split()[3:5] for it in maps if it.endswith("libone.so (deleted)"))
    library = {
        "path": f"{bench.folder}/libone.so",
        "version": hashlib.sha256((bench.folder / "libone.so").read_bytes()).hexdigest(),
        "result": "updated",
        "in_force": True,
        "file": {"device": device, "inode": int(inode), "path": ""},
    }
    answer = {"targets": [{"pid": program.pid, "libraries": [library]}, {"pid": os.getpid(), "libraries": [library]}]}
    found, status = asked_by_root(bench, http(answer))
    (why,) = found[program.pid]
    assert why.endswith("in force says only the daemon of the user that it runs as")
    units.move(program, "user.slice", f"user-{VICTIM}.slice", "session-1.scope")
    found, status = asked_by_root(bench, http(answer))
    assert program.pid not in found
    jsonschema.validate(status, json.loads(Path("docs/status.schema.json").read_text()))
    (other,) = [it for it in status["others"] if it["user"] == VICTIM]
    assert [it["pid"] for it in other["targets"]] == [program.pid] and status["targets"] == []
    assert other["targets"][0]["units"] == ["session-1.scope"]
    found, status = asked_by_root(bench, b"nonsense")
    (other,) = [it for it in status["others"] if it["user"] == VICTIM]
    assert other["problem"] and program.pid in found
