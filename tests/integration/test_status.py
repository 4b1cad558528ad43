"""`liveso status` with real processes and daemons."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import jsonschema
import pytest

from liveso.client.ask import ask_daemon
from liveso.errors import NoDaemon
from liveso.settings import read_settings
from tests.harness import LIVESO, Bench, wait_until
from tests.listeners import on_terminal, uncoloured

PROGRAM = """
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (argv[i][0] == '.' && !dlopen(argv[i], RTLD_NOW))
            return fprintf(stderr, "%s\\n", dlerror()), 1;
    puts("ready");
    fflush(stdout);
    getchar();
    return 0;
}
"""
VERSION = "int version(void) { return VERSION; }"
SHARED = ("-fPIC", "-shared", "-O2")


def build(bench: Bench) -> None:
    bench.compile(PROGRAM, "program", "-ldl")
    bench.compile(VERSION, "libone.1.so", *SHARED, "-DVERSION=1")
    bench.compile(VERSION, "libone.2.so", *SHARED, "-DVERSION=2")
    bench.link("libone.1.so", "libone.so")


def status(bench: Bench, *arguments: str) -> list[list[str]]:
    shown = subprocess.check_output([LIVESO, "status", *arguments], env=bench.environment, text=True)
    return [line.split("\t") for line in shown.splitlines()]


@pytest.mark.parametrize("name", [b"lib\xff\xfe.so", b"lib\xc3.so", b"lib\xed\xa0\x80.so"])
def test_a_name_that_is_no_text_hides_nothing(bench: Bench, name: bytes) -> None:
    build(bench)
    folder = os.fsencode(bench.folder)
    os.link(bench.folder / "libone.1.so", os.path.join(folder, name))
    odd = bench.run("./program", "./" + os.fsdecode(name), os.fsdecode(b"\xff\xfe"))
    plain = bench.run("./program", "./libone.so")
    for it in (odd, plain):
        it.wait_for("ready")
    assert bench.library(plain.pid, "libone.so")["result"] == "current"
    shown = name.decode(errors="backslashreplace")
    assert bench.library(odd.pid, shown)["result"] == "current"
    (command,) = {it[5] for it in status(bench, str(odd.pid))}
    assert command == f"./program ./{shown} \\xff\\xfe"


def test_a_command_line_writes_no_lines_of_its_own(bench: Bench) -> None:
    build(bench)
    hostile = "\x1b[2J\x1b[H\nroot's daemon: all is well"
    program = bench.run("./program", "./libone.so", hostile)
    program.wait_for("ready")
    bench.library(program.pid, "libone.so")
    ((pid, *_rest, command, _reason),) = status(bench)
    assert (int(pid), command) == (
        program.pid,
        r"./program ./libone.so \x1b[2J\x1b[H\x0aroot's daemon: all is well",
    )
    shown = uncoloured(on_terminal(bench.environment, 200, "status"))
    assert shown == f"1 service runs what is on disk\n\n{command} — process {pid}: 1 library current\n"


def test_processes_with_the_same_results_stand_together_with_what_was_refused_first(bench: Bench) -> None:
    build(bench)
    bench.compile("int other;", "libtwo.1.so", *SHARED)
    bench.compile("int another;", "libtwo.2.so", *SHARED, "-Wl,-soname,libtwo.so.2")
    bench.link("libtwo.1.so", "libtwo.so")
    programs = [bench.run("./program", "./libone.so", "./libtwo.so", str(number)) for number in range(3)]
    for it in programs:
        it.wait_for("ready")
        bench.library(it.pid, "libone.so")
        bench.library(it.pid, "libtwo.so")
    bench.link("libone.2.so", "libone.so")
    bench.link("libtwo.2.so", "libtwo.so")
    for it in programs:
        bench.wait_for_result(it.pid, "libone.so", "updated")
        bench.wait_for_result(it.pid, "libtwo.so", "refused")
    pids = " ".join(map(str, sorted(it.pid for it in programs)))
    lines = uncoloured(on_terminal(bench.environment, 200, "status")).splitlines()
    assert re.fullmatch(r"1 of 1 service needs a restart: program of \w+", lines.pop(0)) and not lines.pop(0)
    assert lines[0] == f"./program ./libone.so ./libtwo.so … — 3 processes: {pids}"
    assert [line.split()[0] for line in lines[1:] if line[2] != " "] == ["refused", "updated"]
    records = status(bench)
    assert [it[1] for it in records] == ["refused", "updated"] * 3
    assert [line.strip() for line in lines if line.startswith(" " * 13)] == [records[0][6]]
    shown = subprocess.check_output([LIVESO, "why"], env=bench.environment, text=True).splitlines()
    assert shown[1] == f"  in {lines[0]}" and shown[2].strip().endswith(records[0][6])


def test_a_daemon_that_is_stopped_is_told_from_none(bench: Bench) -> None:
    assert bench.daemon
    settings = read_settings(bench.environment)
    bench.daemon.process.send_signal(signal.SIGSTOP)
    state = Path(f"/proc/{bench.daemon.pid}/stat")
    wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", "the stop")
    with pytest.raises(NoDaemon, match=rf"the daemon \(pid {bench.daemon.pid}\).* does not answer within 0.3 s"):
        ask_daemon(settings, "/status", limit=0.3)
    bench.daemon.process.send_signal(signal.SIGCONT)
    assert ask_daemon(settings, "/status")["pid"] == bench.daemon.pid
    bench.kill_daemon()
    with pytest.raises(NoDaemon, match=r"no daemon answers.*its daemon has ended"):
        ask_daemon(settings, "/status")


def test_the_answer_is_what_its_schema_says(bench: Bench) -> None:
    build(bench)
    bench.compile("int other;", "libtwo.1.so", *SHARED)
    bench.compile("int another;", "libtwo.2.so", *SHARED, "-Wl,-soname,libtwo.so.2")
    bench.link("libtwo.1.so", "libtwo.so")
    program = bench.run("./program", "./libone.so", "./libtwo.so")
    bench.run("./program").wait_for("ready")
    program.wait_for("ready")
    for name in ("libone.so", "libtwo.so"):
        bench.library(program.pid, name)
    bench.link("libone.2.so", "libone.so")
    bench.link("libtwo.2.so", "libtwo.so")
    bench.wait_for_result(program.pid, "libone.so", "updated")
    bench.wait_for_result(program.pid, "libtwo.so", "refused")
    shown = subprocess.check_output([LIVESO, "status", "--json"], env=bench.environment, text=True)
    schema = json.loads(Path("docs/status.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    answer = json.loads(shown)
    validator.validate(answer)
    (libraries,) = [it["libraries"] for it in answer["targets"] if it["pid"] == program.pid]
    definitions = {name: schema["$defs"][name]["properties"].keys() for name in ("target", "library")}
    assert libraries[0].keys() == definitions["library"] and answer["targets"][0].keys() == definitions["target"]
    libraries[0]["in_force"] = "yes"
    assert not validator.is_valid(answer)
