"""What a fresh machine lacks is told in one sentence, before anything is begun."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A folder for PATH with what every system has, for a user who is not root."""
    folder = tmp_path / "commands"
    folder.mkdir()
    for name in ("bash", "dirname", "sed", "cat"):
        (folder / name).symlink_to(shutil.which(name) or "")
    pretend(folder, "id", "echo 1000")
    return folder


def pretend(folder: Path, name: str, does: str) -> None:
    (folder / name).write_text(f"#!{shutil.which('bash')}\n{does}\n")
    (folder / name).chmod(0o755)


def said(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    """The only line that was printed."""
    lines = (done.stdout + done.stderr).splitlines()
    assert done.returncode == code and len(lines) == 1, done
    return lines[0]


def run(commands: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    tool = [str(ROOT / command[0]), *command[1:]]
    return subprocess.run(tool, env={"PATH": str(commands)}, capture_output=True, text=True, check=False)


def test_an_old_python_is_refused() -> None:
    pretended = "import sys; sys.version_info = (3, 9, 2, 'final', 0); exec(open('tools/check-python').read())"
    done = subprocess.run([sys.executable, "-c", pretended], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "needs Python 3.11 or newer" in (line := said(done, 1)) and "is 3.9.2" in line
    assert subprocess.run([sys.executable, "tools/check-python"], cwd=ROOT, check=False).returncode == 0


def test_no_python_is_told(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    command = ["make", "-s", f"VENV={venv}", "PYTHON=no-such-python", f"{venv}/.packages"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and not venv.exists()
    assert "there is no no-such-python here" in done.stderr.splitlines()[0]


@pytest.mark.parametrize("sudo", ["", "exit 1"], ids=["no sudo", "sudo refuses"])
def test_who_may_not_install_is_told_what(commands: Path, sudo: str) -> None:
    pretend(commands, "apt-get", "exit 1")
    if sudo:
        pretend(commands, "sudo", sudo)
    line = said(run(commands, "tools/system-packages", "lint"), 1)
    assert "only root can install" in line and "apt-get install clang-format" in line


def test_where_there_is_no_apt_the_packages_are_named(commands: Path) -> None:
    assert "there is no apt-get here" in said(run(commands, "tools/system-packages", "lint"), 1)


def test_where_apt_fails_its_reason_is_told(commands: Path, tmp_path: Path) -> None:
    for name in ("env", "mktemp", "tee", "grep", "tail"):
        (commands / name).symlink_to(shutil.which(name) or "")
    pretend(commands, "id", "echo 0")
    pretend(commands, "apt-get", "for i in {1..500}; do echo chatter; done; echo 'E: no route to host'; exit 100")
    done = run(commands, "tools/system-packages", "lint")
    assert done.returncode == 1 and len(done.stderr.splitlines()) < 5, done
    assert "E: no route to host" in done.stderr and "apt-get update failed" in done.stderr
    Path(done.stderr.split()[-1]).unlink()


@pytest.mark.parametrize(
    ("user", "there", "reason"),
    [("1000", (), "only root may"), ("0", (), "debootstrap is missing"), ("0", ("debootstrap",), "git is missing")],
    ids=["user", "debootstrap", "git"],
)
def test_where_no_root_of_another_release_can_be_made_the_reason_is_told(
    commands: Path, user: str, there: tuple[str, ...], reason: str
) -> None:
    pretend(commands, "id", f"echo {user}")
    for name in there:
        pretend(commands, name, "exit 1")
    assert reason in said(run(commands, "tools/debian-root", "fresh", "trixie", "true"), 3)


@pytest.mark.parametrize(
    ("machine", "user", "reason"),
    [("vax", "0", "it is arm64"), ("arm64", "1000", "only root may"), ("arm64", "0", "apt-get is missing")],
    ids=["machine", "user", "apt-get"],
)
def test_where_no_other_machine_can_be_emulated_the_reason_is_told(
    commands: Path, machine: str, user: str, reason: str
) -> None:
    pretend(commands, "id", f"echo {user}")
    assert reason in said(run(commands, "tools/emulated-system", machine, "true"), 3)
