"""Debian's needrestart with the configuration of packaging/needrestart: it is unpacked, and not installed."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.harness import LIVESO, Bench, Program
from tests.integration.test_restart_needed import build, replace
from tests.packages import RELEASE, package, release_here

MODULES = ("libproc-processtable-perl", "libsort-naturally-perl", "libintl-perl", "libterm-readkey-perl")
SNIPPET = Path("packaging/needrestart/50-liveso.conf")

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make namespaces here, and sees all processes"),
    pytest.mark.skipif(release_here() != RELEASE, reason="its modules are for the perl of one release"),
]


class NeedRestart:
    """needrestart, with the configuration that its package has, but for files in /tmp, where the test's are."""

    def __init__(self, bench: Bench, liveso: Path) -> None:
        self.bench = bench
        own = package("needrestart")
        perl = [f"{folder}/{part}" for folder in map(package, ("libmodule-find-perl", *MODULES)) for part in _PERL]
        self.command = [
            "perl",
            *(f"-I{it}" for it in (own / "usr/share/perl5", *perl)),
            str(own / "usr/sbin/needrestart"),
        ]
        folder = bench.folder / "needrestart"
        (folder / "conf.d").mkdir(parents=True)
        text = (own / "etc/needrestart/needrestart.conf").read_text()
        text = text.replace("/etc/needrestart/conf.d", str(folder / "conf.d")).replace("qr#^(/var)?/tmp/#,", "")
        (folder / "needrestart.conf").write_text(f"{text}\n$nrconf{{hook_d}} = '{own}/etc/needrestart/hook.d';\n")
        (folder / "conf.d" / SNIPPET.name).write_text(SNIPPET.read_text().replace("/usr/bin/liveso", str(liveso)))
        self.command += ["-c", str(folder / "needrestart.conf"), "-l", "-b", "-v"]

    def found(self) -> dict[int, str]:
        """The first file of each process for which it is to be started anew."""
        done = subprocess.run(self.command, env=self.bench.environment, capture_output=True, text=True, check=True)
        assert f"eval {self.bench.folder}/needrestart/conf.d/{SNIPPET.name}" in done.stderr
        lines = re.findall(r"#(\d+) uses (?:deleted|obsolete) (.*)$", done.stderr, re.M)
        return {int(pid): Path(path).name for pid, path in lines}


_PERL = ("usr/share/perl5", "usr/lib/x86_64-linux-gnu/perl5/5.36")


def start(bench: Bench) -> Program:
    """With mounts of its own: there, liveso leaves what is removed from disk in the memory map."""
    program = bench.run_plain("unshare", "--mount", "./program")
    program.wait_for("1 1")
    return program


def test_what_is_in_force_is_left_out_in_the_very_process(bench: Bench) -> None:
    build(bench)
    needrestart = NeedRestart(bench, LIVESO)
    served, alone = start(bench), start(bench)
    subprocess.run([LIVESO, "attach", str(served.pid)], env=bench.environment, check=True, capture_output=True)
    found = needrestart.found()
    assert served.pid not in found and alone.pid not in found
    replace(bench, "one", 2)
    bench.wait_for_result(served.pid, "libone.so", "updated")
    assert f"{bench.folder}/libone.so (deleted)" in Path(f"/proc/{served.pid}/maps").read_text()
    found = needrestart.found()
    assert served.pid not in found and found[alone.pid] == "libone.so"
    replace(bench, "two", 2, "-Wl,-soname,libtwo.so.2")
    bench.wait_for_result(served.pid, "libtwo.so", "refused")
    assert needrestart.found()[served.pid] == "libtwo.so"
    bench.kill_daemon()
    assert needrestart.found()[served.pid] in ("libone.so", "libtwo.so")


@pytest.mark.parametrize(
    "answer", ["exit 1", 'echo "$pid $file (deleted)"', 'echo "$pid $file (deleted)"; echo end; exit 1']
)
def test_an_answer_that_is_not_complete_is_none(bench: Bench, answer: str) -> None:
    build(bench)
    program = start(bench)
    replace(bench, "one", 2)
    liveso = bench.folder / "liveso"
    given = f"pid={program.pid}; file={bench.folder}/libone.so\n"

    def write(script: str) -> None:
        liveso.write_text(f"#!/bin/sh\n{given}{script}\n")
        liveso.chmod(0o755)

    needrestart = NeedRestart(bench, liveso)
    write(answer)
    assert needrestart.found()[program.pid] == "libone.so"
    write('echo "$pid $file (deleted)"; echo end')
    assert program.pid not in needrestart.found()
