"""How long the verdict over large libraries takes, by layer, and what abidiff (libabigail) makes of the same pairs.

    python -m bench.verdict

Each pair is judged in a process of its own, so that time and memory are those of a first question.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from liveso.code import functions
from liveso.compare.both_codes import BothCodes
from liveso.elf import read_image
from liveso.verdict import DebugSource, Finding, KeptVerdicts, Policy, Verdict
from liveso.verdict.judge import LAYERS, paired
from tests.packages import LIBRARIES, package

_LLVM = f"{LIBRARIES}/libLLVM-14.so.1"


@dataclass(frozen=True, slots=True)
class Subject:
    """A pair of files to judge, with a name for people."""

    name: str
    old: Path
    new: Path


def subjects(folder: Path) -> Iterator[Subject]:
    """OpenSSL's libraries in three updates, and LLVM with one function changed, made in `folder`."""
    for old, new in (("3.0.20-1~deb12u2", "3.0.22-1~deb12u2"), ("3.0.17-1~deb12u2", "3.0.20-1~deb12u2")):
        for library in ("libcrypto.so.3", "libssl.so.3"):
            files = [package("libssl3", version) / LIBRARIES / library for version in (old, new)]
            yield Subject(f"{library} {old[:6]} → {new[:6]}", *files)
    llvm = package("libllvm14") / _LLVM
    changed = folder / "libLLVM-14.so.1"
    changed.write_bytes(_with_one_changed_function(llvm.read_bytes()))
    yield Subject("libLLVM-14.so.1, one function changed", llvm, changed)


def _with_one_changed_function(content: bytes) -> bytes:
    """Exchange two instructions' worth of bytes in the middle of a function of some length for `nop`."""
    image = read_image(content)
    known = functions(image)
    start, end = next(row for row in known.tolist()[len(known) // 2 :] if row[1] - row[0] > 200)
    offset = image.file_offset((start + end) // 2)
    assert offset is not None
    return content[:offset] + b"\x90" * 8 + content[offset + 8 :]


def judge_by_layer(old: Path, new: Path) -> dict[str, float | str]:
    """Seconds for reading both files, for what their code refers to, and for each layer, the peak of memory in MiB, and
    the strongest finding."""
    seconds: dict[str, float | str] = {}
    begin = time.monotonic()
    images = read_image(old.read_bytes()), read_image(new.read_bytes())
    code = BothCodes(*images)
    seconds["reading"] = time.monotonic() - begin
    found: list[Finding] = []
    begin = time.monotonic()
    with paired(code, DebugSource()) as pair:
        seconds["code"] = time.monotonic() - begin
        for layer, rules in LAYERS.items():
            begin = time.monotonic()
            found.extend(finding for rule in rules for finding in rule.findings(layer, pair))
            seconds[layer] = time.monotonic() - begin
    seconds["MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    refusals = Verdict(tuple(found)).refusals(None)
    seconds["sees"] = refusals[0].text if refusals else "nothing that refuses"
    with tempfile.TemporaryDirectory() as folder:
        kept = KeptVerdicts(Path(folder))
        digests = ("old", "new")
        kept.judge(*images, Policy.ELF, DebugSource(), digests)
        begin = time.monotonic()
        kept.judge(*images, Policy.ELF, DebugSource(), digests)
        seconds["kept"] = time.monotonic() - begin
    return seconds


def _apart(subject: Subject) -> dict[str, float | str]:
    begin = time.monotonic()
    command = [sys.executable, "-m", "bench.verdict", str(subject.old), str(subject.new)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {**json.loads(done.stdout), "process": time.monotonic() - begin}


def _abidiff(subject: Subject) -> tuple[float, str]:
    """Seconds, and what it reports: abidiff(1) counts changes of the interface; bits of its exit code tell their
    weight."""
    begin = time.monotonic()
    done = subprocess.run(["abidiff", "--stat", subject.old, subject.new], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    lines = [line for line in done.stdout.splitlines() if "summary" in line and not line.rstrip().endswith(" 0")]
    changed = [line for line in lines if any(f" {digit}" in line for digit in "123456789")]
    return seconds, "; ".join(line.strip() for line in changed) or f"no change (exit code {done.returncode})"


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps(judge_by_layer(Path(sys.argv[1]), Path(sys.argv[2]))))
        return
    console = Console(width=200 if not os.isatty(1) else None)
    table = Table(title="the verdict by layer, in seconds; and abidiff beside it")
    columns: dict[str, Callable[[float], str]] = {
        **dict.fromkeys(("reading", "code", *LAYERS, "process"), "{:.2f}".format),
        "kept": lambda seconds: f"{1000 * seconds:.0f} ms",
        "MiB": "{:.0f}".format,
    }
    for title in ("pair", *columns, "sees", "abidiff", "abidiff sees"):
        table.add_column(title, overflow="fold")
    with tempfile.TemporaryDirectory() as folder:
        for subject in subjects(Path(folder)):
            figures = _apart(subject)
            seconds, sees = _abidiff(subject)
            shown = [show(float(figures[name])) for name, show in columns.items()]
            table.add_row(subject.name, *shown, str(figures["sees"]), f"{seconds:.2f}", sees)
    console.print(table)


if __name__ == "__main__":
    main()
