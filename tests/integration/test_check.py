"""`liveso check` as a user meets it: what it prints, and with which exit code."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import AGENT, LIVESO, Bench
from tests.listeners import on_terminal, uncoloured
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
        assert any("more findings; -v shows all" in line for line in lines)
    assert len(check("-v", *openssl("libssl.so.3")).stdout.splitlines()) > 100


def test_a_bug_fix_can_be_applied(check: Check) -> None:
    done = check(*openssl("libcrypto.so.3"), "--json")
    assert done.returncode == 0
    (answer,) = json.loads(done.stdout)
    assert answer["library"] == "libcrypto.so.3" and answer["applies"] is True
    assert all(it["weight"] == "note" for it in answer["findings"])


SUMMARY_OLD = r"""
#include <stdio.h>
#include <stdlib.h>
struct one { int count; char *text; };
__attribute__((noinline)) static int inner(struct one *it, int by) { return it->count * 31 + by; }
int one_count(struct one *it) { return inner(it, 5) + 1; }
int one_other(struct one *it) { return inner(it, 7) % 1000; }
void one_free(struct one *it) { free(it); }
int one_gone(int x) { return x * 41 + 7; }
int one_say(struct one *it) { return it->count > 90 ? puts("too many") : 0; }
"""
SUMMARY_NEW = (
    SUMMARY_OLD.replace("int one_gone(int x) { return x * 41 + 7; }", "long one_more(long *x) { return x[5] - x[2]; }")
    .replace("{ free(it); }", "{ perror(it->text); free(it); }")
    .replace("too many", "more than there is room for")
    .replace("* 31 + by", "* 37 + by * 3")
)


@pytest.mark.parametrize("flags", [("-s",), ("-g",)])
def test_it_ends_with_what_changes(check: Check, idle_bench: Bench, flags: tuple[str, ...]) -> None:
    build = ("-O2", "-fPIC", "-shared", "-Wl,-soname,libone.so", *flags)
    old = idle_bench.compile(SUMMARY_OLD, "old.so", *build)
    new = idle_bench.compile(SUMMARY_NEW, "new.so", *build)
    lines = check(old, new).stdout.splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("  what changes: "))
    assert lines[first].startswith("  what changes: 1 function added, 1 function gone, 3 functions edited, ")
    assert lines[first + 1 : first + 5] == [
        "    added: one_more",
        "    gone: one_gone",
        "    one_free: calls perror",
        '    one_say: text "too many" became "more than there is room for"',
    ]
    nameless = r"the function at 0x[0-9a-f]+, reached by one_count, one_other"
    assert re.fullmatch(rf"    ({nameless if flags == ('-s',) else 'inner.*'}): .+", lines[first + 5])
    assert len(lines) == first + 6
    (answer,) = json.loads(check(old, new, "--json").stdout)
    changes = answer["changes"]
    assert [it["name"] for it in changes["added"]] == ["one_more"] and changes["added"][0]["is_exported"]
    assert [it["name"] for it in changes["gone"]] == ["one_gone"] and changes["problem"] == ""
    assert changes["edited"][0]["function"]["name"] == "one_free"
    assert changes["edited"][0]["kinds"]["calls"] == {"gone": [], "added": ["perror"]}
    assert set(changes["edited"][2]["function"]["reached_by"]) == (
        {"one_count", "one_other"} if flags == ("-s",) else set()
    )


def test_a_summary_is_short_where_much_changes(check: Check, idle_bench: Bench) -> None:
    flags = ("-O2", "-fPIC", "-shared", "-s", "-Wl,-soname,libone.so")
    body = "long f%d(long x, long *y) { long s = x; %s return s + %d; }"
    loops = "for (long i = 0; i < x; i++) s ^= y[i] + i;", "while (x--) s = (s << 3) ^ *y++;"

    def build(name: str, edited: int, of: int) -> Path:
        text = "\n".join(body % (number, loops[number < edited], number) for number in range(of))
        return idle_bench.compile(text, name, *flags)

    old, few, all_of_them = build("old.so", 0, 150), build("few.so", 30, 150), build("all.so", 150, 150)
    lines = check(old, few).stdout.splitlines()
    start = next(index for index, line in enumerate(lines) if "what changes: 30 functions edited" in line)
    assert len(lines) - start <= 15 and lines[-1] == "    and 20 more; -v shows all"
    assert sum(line.startswith("    f") for line in check("-v", old, few).stdout.splitlines()) == 30
    lines = check(old, all_of_them).stdout.splitlines()
    assert "150 functions edited" in lines[-2] and "built by another compiler" in lines[-1]
    (answer,) = json.loads(check(old, all_of_them, "--json").stdout)
    assert answer["changes"]["is_rebuilt"] is True and len(answer["changes"]["edited"]) == 150
    assert all(it["kinds"] for it in answer["changes"]["edited"])


def test_a_terminal_shows_it_in_a_minute(idle_bench: Bench) -> None:
    old, new = (package("libssl3", version) / LIBRARIES / "libcrypto.so.3" for version in OPENSSL[:2])
    shown = uncoloured(on_terminal(idle_bench.environment, 120, "check", str(old), str(new)))
    lines = [line.rstrip() for line in shown.splitlines()]
    start = next(index for index, line in enumerate(lines) if line.startswith("  what changes: "))
    assert all(len(line) <= 120 for line in lines) and len(lines) - start <= 22
    assert lines[-1].startswith("    and ") and lines[-1].endswith(" more; -v shows all")
    assert "OSSL_HTTP_proxy_connect: calls BIO_printf, strchr" in shown


def test_an_update_of_openssl_is_told_as_its_authors_tell_it(check: Check) -> None:
    old, new = (package("libssl3", version) / LIBRARIES / "libssl.so.3" for version in OPENSSL[:2])
    shown = check(old, new).stdout
    assert "SSL_trace: text" in shown and "UNPARSEABLE" in shown and "UNPARSABLE" in shown
    assert len(shown.splitlines()) < 20


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
    blocks = done.stdout.split("\n\n")
    assert len(blocks) == len(verdicts) and all("\n  what changes: " in block for block in blocks)
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
