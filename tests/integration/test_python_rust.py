"""An extension module in Rust (PyO3) is built by maturin while the script that has imported it runs."""

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import BIN, Bench, Program
from tests.once import made_once
from tests.packages import package

SOURCE = Path(__file__).parent / "programs" / "account.rs"
# of Debian 13 on any release, for this version of PyO3 knows Python 3.7 to 3.13
CRATES = (
    *("autocfg", "cfg-if", "heck", "indoc", "libc", "memoffset", "once-cell", "portable-atomic", "proc-macro2", "pyo3"),
    *("pyo3-build-config", "pyo3-ffi", "pyo3-macros", "pyo3-macros-backend", "quote", "syn", "target-lexicon"),
    *("unicode-ident", "unindent"),
)
CARGO = """
[package]
name = "account"
version = "0.1.0"
edition = "2021"
[lib]
crate-type = ["cdylib"]
[dependencies]
pyo3 = { version = "0.22", features = ["extension-module"] }
"""
PROJECT = """
[build-system]
requires = ["maturin>=1,<2"]
build-backend = "maturin"
[project]
name = "account"
version = "0.1.0"
"""
CONFIGURATION = """
[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "{0}"
[net]
offline = true
"""
SHOW = """
import sys
from account import Account, fee
ann = Account("ann")
deposit = ann.deposit

def attempt(call, *words):
    try:
        return call(*words)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"

for line in sys.stdin:
    said = fee(100, 2), deposit("EUR", 100), len(ann), ann, ann.log, Account("bob").deposit("EUR", 10)
    print(*said, attempt(deposit, "EUR", -1), attempt(ann.of, "USD"), attempt(ann.of, "EUR"), sep=" | ", flush=True)
"""


@pytest.fixture(scope="module")
def crates(shared: Path) -> Path:
    """The folder that is cargo's registry."""

    def make(folder: Path) -> None:
        folder.mkdir()
        for name in CRATES:
            for it in (package(f"librust-{name}-dev", release="trixie") / "usr/share/cargo/registry").iterdir():
                (folder / it.name).symlink_to(it)

    return made_once(shared / "crates", make)


@dataclass
class Module:
    """The project of the module, and an environment of Python's that maturin installs it into."""

    bench: Bench
    crates: Path
    options: tuple[str, ...]

    def __post_init__(self) -> None:
        self.project, self.environment = self.bench.folder / "project", self.bench.folder / "environment"
        for name, text in {
            "Cargo.toml": CARGO,
            "pyproject.toml": PROJECT,
            ".cargo/config.toml": CONFIGURATION.format(self.crates),
        }.items():
            (self.project / name).parent.mkdir(parents=True, exist_ok=True)
            (self.project / name).write_text(text)
        (self.project / "src").mkdir()
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.environment], check=True)
        # where liveso is
        (self._packages / "liveso.pth").write_text(sysconfig.get_path("purelib"))

    @property
    def _packages(self) -> Path:
        scheme = {"base": str(self.environment), "platbase": str(self.environment)}
        return Path(sysconfig.get_path("purelib", "venv", scheme))

    @property
    def file(self) -> Path:
        (found,) = self._packages.glob("account/*.so")
        return found

    def build(self, *edits: tuple[str, str]) -> None:
        """Build the source with some words exchanged, as a developer does."""
        text = SOURCE.read_text()
        for before, after in edits:
            assert before in text
            text = text.replace(before, after)
        (self.project / "src/lib.rs").write_text(text)
        command: list[str | Path] = [BIN / "maturin", "develop", "--quiet", "--pip-path", BIN / "pip", *self.options]
        own = {"VIRTUAL_ENV": str(self.environment), "CARGO_HOME": str(self.bench.folder / "cargo")}
        subprocess.run(command, cwd=self.project, env=os.environ | own, check=True)

    def start(self) -> Program:
        (self.bench.folder / "show.py").write_text(SHOW)
        program = self.bench.run_plain(self.environment / "bin/python", "-m", "liveso", "show.py", RUST_BACKTRACE="0")
        self.bench.library(program.pid, self.file.name)
        return program


def ask(program: Program) -> list[str]:
    before = len(program.lines)
    program.ask("")
    return program.wait_for(" | ", before).split(" | ")


@pytest.mark.parametrize(
    "options", [(), pytest.param(("--release",), marks=pytest.mark.further)], ids=["debug", "release"]
)
def test_a_module_by_pyo3_is_built_by_maturin_while_the_script_runs(
    bench: Bench, crates: Path, options: tuple[str, ...]
) -> None:
    """What the first version made goes on: statics of all threads and of one, objects, and methods that were bound.
    A panic of the new version becomes an exception as one of the old version does."""
    module = Module(bench, crates, options)
    module.build()
    program = module.start()
    nothing = "ValueError: {0} takes nothing like -1 | PanicException: {0} has no USD"
    expected = ["(22, 22, 1)", "89", "1", "<ann in one>", "one:100", "8", *nothing.format("one").split(" | "), "89"]
    assert ask(program) == expected
    module.build(("BASE: i64 = 1", "BASE: i64 = 7"), ('"one"', '"two"'))
    bench.wait_for_version(module.file, module.file.name, program.pid)
    log = "one:100 one:10 two:100"
    expected = ["(34, 56, 2)", "172", "1", "<ann in two>", log, "2", *nothing.format("two").split(" | "), "172"]
    assert ask(program) == expected
    module.build(
        ('"one"', '"three"'),
        ("    owner: String,\n", "    owner: String,\n    closed: bool,\n"),
        ("            owner,\n", "            owner,\n            closed: false,\n"),
    )
    reason = bench.wait_for_result(program.pid, module.file.name, "refused")["reason"]
    # where PyO3 notes who borrows an object is behind its members
    moved, larger = "a member moved from +0x40 to +0x48", "struct Account changes from 48 to 56 bytes"
    assert (moved if options else larger) in reason
    assert ask(program)[1:4] == ["255", "1", "<ann in two>"]
    assert program.end() == 0
