"""Processes that cannot be served are to be seen in status, with the reason, and notice nothing."""

import os
import signal
from typing import Any

from tests.harness import AGENT, MODE, Bench, Program, wait_until

PROGRAM = """
#include <stdio.h>
int main(void)
{
    char line[99];
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        ;
    return 0;
}
"""


def note(bench: Bench, command: str) -> dict[str, Any]:
    """The process with this command as status shows it, once that has a note."""

    def find() -> dict[str, Any] | None:
        return next((it for it in bench.status() if command in it["command"] and it["note"]), None)

    found: dict[str, Any] = wait_until(find, f"a note about {command}")
    return found


def run_in(bench: Bench, *namespaces: str) -> Program:
    """A program with live.so, run by unshare(1) without."""
    bench.compile(PROGRAM, "program")
    program = bench.run_plain(
        *("unshare", *namespaces, "env", f"LD_PRELOAD={AGENT}", str(bench.folder / "program")), LIVE_LOGLEVEL="0"
    )
    program.wait_for("ready")
    return program


def test_what_was_told_of_this_daemon_and_does_not_reach_it(bench: Bench) -> None:
    bench.compile(PROGRAM, "program")
    program = bench.run("./program")
    program.wait_for("ready")
    bench.wait_for_log("event=target")
    program.process.send_signal(19)
    bench.kill_daemon()
    bench.start_daemon()
    assert "has not connected" in note(bench, "program")["note"]
    program.process.send_signal(18)
    wait_until(lambda: any(it["pid"] == program.pid and not it["note"] for it in bench.status()), "it is served")
    assert program.end() == 0


TITLED = """
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
extern char **environ;
int main(void)
{
    char line[99];
    while (fgets(line, sizeof line, stdin)) {
        pid_t child = fork();
        if (child == 0) {
            for (char **it = environ; *it; it++)
                memset(*it, 0, strlen(*it));
            raise(SIGSTOP);
            _exit(0);
        }
        printf("child %d\\n", child);
        fflush(stdout);
    }
    return 0;
}
"""


def test_a_stopped_child_that_wrote_a_title_over_its_variables(bench: Bench) -> None:
    """It can be visited, but its own thread would not connect."""
    bench.compile(TITLED, "titled")
    program = bench.run("./titled")
    wait_until(lambda: any(it["pid"] == program.pid and not it["note"] for it in bench.status()), "it is served")
    program.ask("fork")
    child = int(program.wait_for("child").split()[1])
    expected = "has not connected" if MODE == "resident" else ""

    def is_shown() -> bool:
        return any(
            it["pid"] == child and (expected in it["note"] if expected else not it["note"]) for it in bench.status()
        )

    wait_until(is_shown, "the child in status")
    os.kill(child, signal.SIGKILL)
    assert program.end() == 0


def test_what_another_daemon_serves_is_not_shown(bench: Bench) -> None:
    bench.compile(PROGRAM, "program")
    program = bench.run("./program", LIVE_SOCKET=str(bench.folder / "other.sock"), LIVE_DAEMON="/nonexistent")
    mine = bench.run("./program")
    for it in (program, mine):
        it.wait_for("ready")
    wait_until(lambda: {it["pid"] for it in bench.status()} == {mine.pid}, "only the own one")
    assert program.end() == 0 and mine.end() == 0
