"""One run of the build command."""

import os
import signal
import threading

from liveso.cli.rebuild.builder import Build, Built


def build(command: str) -> Built:
    return Build(command, dict(os.environ), looks_like_terminal=False).wait()


def test_of_a_build_that_succeeds_only_warnings_are_shown() -> None:
    built = build("echo commands; echo warning >&2")
    assert (built.code, built.shown) == (0, b"warning\n")


def test_of_a_build_that_fails_everything_is_shown() -> None:
    built = build("echo commands; echo error >&2; exit 3")
    assert built.code == 3 and sorted(built.shown.split()) == [b"commands", b"error"]
    assert build("kill -TERM $$").code == -signal.SIGTERM


def test_a_build_has_no_input_and_a_session_of_its_own() -> None:
    built = build("cat; cut -d' ' -f6 /proc/$$/stat >&2; echo $$ >&2")
    session, own = built.shown.split()
    assert session == own


def test_of_very_much_output_the_last_is_kept() -> None:
    built = build("yes line | head -c 3000000 >&2; echo last >&2")
    assert built.shown.endswith(b"last\n") and len(built.shown) < 1_200_000


def test_a_flood_of_output_pushes_out_no_error() -> None:
    built = build("echo broken >&2; yes line | head -c 5000000; echo done; exit 2")
    assert b"broken" in built.shown and b"done" in built.shown and len(built.shown) < 1_200_000


def test_what_stays_behind_and_writes_on_is_not_waited_for() -> None:
    built = build("(trap '' TERM; yes & echo $! >&2); exit 0")
    os.kill(int(built.shown), signal.SIGKILL)
    assert built.code == 0 and built.seconds < 30


def test_a_build_that_does_not_want_to_end_is_killed() -> None:
    it = Build("trap '' TERM; while :; do sleep 0.1; done", dict(os.environ), looks_like_terminal=False)
    threading.Timer(0, it.stop).start()
    assert it.wait().code == -signal.SIGKILL
