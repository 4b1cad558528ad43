"""`liveso check` as a user meets it: what it prints, and with which exit code."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import AGENT, LIVESO, Bench
from tests.packages import LIBRARIES, OPENSSL, offered_here, package

Check = Callable[..., "subprocess.CompletedProcess[str]"]
OLD, NEW = OPENSSL[1:]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    environment = {**os.environ, "LIVE_STORE": str(tmp_path / "store"), "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def check(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        command = [LIVESO, "check", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return check


def openssl(library: str) -> tuple[Path, Path]:
    old, new = (package("libssl3", version) / LIBRARIES / library for version in (OLD, NEW))
    return old, new


def test_a_layout_that_changed_is_refused_with_its_evidence(check: Check) -> None:
    for _twice in range(2):  # the second answer was kept
        done = check(*openssl("libssl.so.3"))
        assert done.returncode == 1 and done.stderr == ""
        lines = done.stdout.splitlines()
        assert lines[0].startswith("libssl.so.3") and lines[0].endswith("refused")
        assert "12 functions witness that a member moved from +0x1d10 to +0x1d20" in lines[1]
        assert "more findings; -v shows all" in lines[-1]
    assert len(check("-v", *openssl("libssl.so.3")).stdout.splitlines()) > 100


def test_a_bug_fix_can_be_applied(check: Check) -> None:
    done = check(*openssl("libcrypto.so.3"), "--json")
    assert done.returncode == 0
    (answer,) = json.loads(done.stdout)
    assert answer["library"] == "libcrypto.so.3" and answer["applies"] is True
    assert all(it["weight"] == "note" for it in answer["findings"])


def test_what_is_gone_matters_only_to_processes_that_use_it(check: Check, idle_bench: Bench) -> None:
    flags = ("-O2", "-fPIC", "-shared", "-Wl,-soname,libone.so", "-x", "c")
    old = idle_bench.compile("int one(void) { return 1; }\nint two(void) { return 2; }\n", "old.so", *flags)
    new = idle_bench.compile("int one(void) { return 1; }\n", "new.so", *flags)
    done = check(old, new)
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert lines[0].endswith("can be applied live, but not to processes that use what is gone or changed")
    assert "the symbol two is gone, for processes that use it" in lines[1]
    (answer,) = json.loads(check(old, new, "--json").stdout)
    assert answer["applies"] is False and answer["depends_on_process"] is True
    assert check(new, old).returncode == 0


def test_a_policy_may_leave_the_code_out(check: Check) -> None:
    assert check(*openssl("libssl.so.3"), "--policy", "elf").returncode == 0


def test_both_libraries_of_a_package_are_judged(check: Check) -> None:
    name, old, new = offered_here("libssl3", "libssl3t64")
    done = check("--package", f"{name}={old}", f"{name}={new}")
    verdicts = {line.split()[0]: line for line in done.stdout.splitlines() if " → " in line}
    assert {"libssl.so.3", "libcrypto.so.3"} <= set(verdicts)
    is_refused = any(line.endswith("refused") for line in verdicts.values())
    assert done.returncode in ((1,) if is_refused else (0, 3)), done.stdout


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("/nowhere.so", "/nowhere.so"), "cannot be read"),
        (("/etc/passwd", "/etc/passwd"), "not an ELF file"),
        (("--package", "libno-such-package1"), "is not installed"),
        (("--package", "libc6=0", "libc6=1"), "apt offers no libc6 "),
    ],
)
def test_what_cannot_be_answered_is_said_in_one_line(check: Check, arguments: tuple[str, ...], what: str) -> None:
    done = check(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("liveso: ") and what in done.stderr and done.stderr.count("\n") == 1


def test_what_is_no_library_is_named(check: Check, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").write_bytes(b"")
    for name, size in (("zeros", 1 << 31), ("huge", (1 << 31) + 1)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    (tmp_path / "cut").write_bytes(AGENT.read_bytes()[:5000])
    (tmp_path / "\x1b[2J").write_bytes(b"text")
    for name, what in {
        ".": "is a directory",
        "fifo": "is a FIFO",
        "empty": "is empty",
        "zeros": "not an ELF file",
        "huge": "has 2147483649 bytes",
        "cut": "",
        "\x1b[2J": r"\x1b[2J: not an ELF file",
        "/dev/zero": "is a device",
        "/proc/self/mem": "is empty",
    }.items():
        for pair in ((tmp_path / name, AGENT), (AGENT, tmp_path / name)):
            done = check(*pair)
            assert done.returncode == 2 and done.stdout == "", done
            assert done.stderr.startswith("liveso: ") and what in done.stderr and done.stderr.count("\n") == 1
            assert done.stderr.rstrip("\n").isprintable()


def test_a_question_that_makes_no_sense_is_told_so(check: Check) -> None:
    for arguments in ((), ("one.so",), ("--policy", "nonsense", "a", "b"), ("--package", "a=1", "b=2")):
        done = check(*arguments)
        assert done.returncode == 2 and "Traceback" not in done.stderr


def test_a_store_that_cannot_be_written_is_no_obstacle(check: Check) -> None:
    done = subprocess.run(
        [LIVESO, "check", *openssl("libcrypto.so.3")],
        env={**os.environ, "LIVE_STORE": "/proc/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and done.stderr == ""
