"""liveso's plugin for dnf, without dnf: it neither fails nor hangs, whatever its command does."""

import importlib.util
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class Plugin:
    """What the plugin takes of dnf.Plugin."""

    def __init__(self, base: Any, cli: Any) -> None:
        self.base = base
        self.cli = cli


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    dnf = ModuleType("dnf")
    dnf.Plugin = Plugin  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dnf", dnf)
    specification = importlib.util.spec_from_file_location("dnf_plugin", "packaging/dnf/liveso.py")
    assert specification and specification.loader
    found = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(found)
    return found


def package(file: str) -> SimpleNamespace:
    return SimpleNamespace(localPkg=lambda: file)


def run(
    module: Any, command: Path, root: str = "/", packages: Sequence[SimpleNamespace] = (package("/cache/one.rpm"),)
) -> None:
    """The plugin through one transaction, and what dnf calls where nothing is to be done after it."""
    conf = SimpleNamespace(installroot=root)
    transaction = SimpleNamespace(install_set=packages)
    plugin = module.Liveso(SimpleNamespace(conf=conf, transaction=transaction), None)
    plugin._command = str(command)
    plugin.pre_transaction()
    plugin.transaction()
    plugin.transaction()


def script(folder: Path, text: str) -> Path:
    found = folder / "liveso"
    found.write_text(f"#!/bin/sh\n{text}\n")
    found.chmod(0o755)
    return found


def test_lines_of_liveso_are_shown_once_and_nothing_else(
    module: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dnf")
    asked = tmp_path / "asked"
    run(module, script(tmp_path, f'echo "$1: $(cat)" >>{asked}; [ "$1" = before-unpacking ] || echo "liveso: x\nelse"'))
    assert asked.read_text() == "before-unpacking: /cache/one.rpm\nafter-unpacking: \n"
    assert caplog.messages == ["liveso: x"]


@pytest.mark.parametrize("text", ["exec sleep 20", "sleep 20 & exit 0", "trap '' TERM INT; sleep 20; sleep 20"])
def test_a_command_that_does_not_end_is_left(
    module: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    caplog.set_level(logging.INFO, "dnf")
    for name in ("_BEFORE", "_AFTER"):
        monkeypatch.setattr(module, name, 0.2)
    start = time.monotonic()
    run(module, script(tmp_path, f"echo 'liveso: y'; {text}"))
    assert time.monotonic() - start < 10
    assert caplog.messages == []


def test_nothing_is_written_to_a_pipe(module: Any, tmp_path: Path) -> None:
    """dnf has SIGPIPE end it: a command that reads nothing would end dnf before the transaction."""
    kinds = tmp_path / "kinds"
    run(module, script(tmp_path, f"stat -L -c %F /dev/stdin >>{kinds}"))
    assert kinds.read_text().splitlines() == ["regular file", "regular empty file"]


def test_who_does_not_want_to_wait_after_the_transaction_does_not_end_dnf(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def interrupted(command: list[str], **_options: object) -> subprocess.CompletedProcess[bytes]:
        asked.append(command[1])
        if command[1] == "after-unpacking":
            raise KeyboardInterrupt
        return subprocess.CompletedProcess(command, 0, b"")

    monkeypatch.setattr(module.subprocess, "run", interrupted)
    run(module, script(tmp_path, ""))
    assert asked == ["before-unpacking", "after-unpacking"]


def test_files_that_dnf_does_not_know_leave_the_rest_as_it_is(module: Any, tmp_path: Path) -> None:
    asked = tmp_path / "asked"

    def fails() -> str:
        raise RuntimeError

    run(module, script(tmp_path, f'echo "$1" >>{asked}; cat >>{asked}'), packages=[SimpleNamespace(localPkg=fails)])
    assert asked.read_text().splitlines() == ["before-unpacking", "after-unpacking"]


def test_another_root_is_not_the_daemon_s(module: Any, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    run(module, script(tmp_path, f"echo $1 >>{asked}"), root="/mnt/image")
    assert not asked.exists()


def test_a_file_whose_name_is_no_text_and_a_folder_as_a_command(module: Any, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    run(module, script(tmp_path, f"cat >>{asked}"), packages=[package("/cache/\udcff.rpm"), package("relative.rpm")])
    assert asked.read_bytes().splitlines() == [b"/cache/\xff.rpm", bytes(Path.cwd() / "relative.rpm")]
    run(module, tmp_path)
    run(module, tmp_path / "nowhere")
