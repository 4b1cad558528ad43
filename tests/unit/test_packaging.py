"""What packages have besides the program: made from what it says of itself, with nothing left out."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from liveso.cli import COMMANDS, liveso
from liveso.settings import VARIABLES, defaults, read_settings
from tools.packaging.documented import exit_codes, settings
from tools.packaging.man_pages import command_pages, settings_page
from tools.packaging.settings_file import settings_file

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
BOOKWORMS_PYTHON = "python3 (<< 3.12)"
_DEBIANS_NAMES = {"python-debian": "debian", "packageurl-python": "packageurl"}


def uncommented(text: str) -> str:
    return "".join(line.removeprefix("#") for line in text.splitlines(keepends=True) if not line.startswith("# "))


def test_the_configuration_file_has_every_setting_at_its_default() -> None:
    text = settings_file(settings())
    assert tomllib.loads(text) == {}
    assert tomllib.loads(uncommented(text)) == defaults({}, 0)
    assert defaults({}, 0).keys() == VARIABLES.keys()


def test_what_is_uncommented_there_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "liveso.toml"
    file.write_text(uncommented(settings_file(settings())))
    found = read_settings({"LIVE_CONFIG": str(file), "HOME": "/nowhere"})
    assert found.socket == Path("/run/liveso/liveso.sock") and found.store == Path("/var/cache/liveso")


def test_each_setting_there_is_explained() -> None:
    paragraphs = settings_file(settings()).split("\n\n")[1:]
    assert len(paragraphs) == len(VARIABLES)
    for paragraph in paragraphs:
        assert paragraph.startswith("# ") and len(paragraph.rpartition("\n#")[0]) > 20, paragraph
        assert all(len(line) <= 100 for line in paragraph.splitlines())
        assert "`" not in paragraph and "](" not in paragraph


def shown(page: str) -> str:
    """The page's text without roff."""
    return page.replace("\\-", "-").replace("\\&", "").replace("\\e", "\\")


def test_each_command_and_each_option_has_its_manual() -> None:
    pages = dict(command_pages(exit_codes()))
    assert pages.keys() == {"liveso", *(f"liveso-{name}" for name in COMMANDS)}
    top = click.Context(liveso, info_name="liveso")
    for name in COMMANDS:
        command = liveso.get_command(top, name)
        assert command is not None
        page = shown(pages[f"liveso-{name}"])
        assert " ".join((command.help or "").split()[:5]) in " ".join(page.split())
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.help and parameter.help in page
                assert all(option in page for option in parameter.opts), parameter.opts
        assert f"liveso-{name}(1)" in shown(pages["liveso"])
        for code, meaning in exit_codes():
            assert f".B {code}\n{meaning}" in page


def test_the_manual_of_the_settings_has_each_variable() -> None:
    page = shown(settings_page(settings()))
    for it in settings():
        assert it.variable in page and it.meaning.split(".")[0] in page
    assert {it.variable for it in settings()} > set(VARIABLES.values())


def test_no_line_of_a_manual_is_taken_for_a_request_of_roff() -> None:
    requests = {".TH", ".SH", ".PP", ".TP", ".B", ".nf", ".fi"}
    for _name, page in [*command_pages(exit_codes()), ("", settings_page(settings()))]:
        for line in page.splitlines():
            assert not line.startswith("'")
            assert not line.startswith(".") or line.split()[0] in requests, line


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_man_shows_each_without_a_warning(tmp_path: Path) -> None:
    for name, page in [*command_pages(exit_codes()), ("liveso.toml", settings_page(settings()))]:
        file = tmp_path / name
        file.write_text(page)
        done = subprocess.run(
            ["man", "--warnings", "-Tutf8", "-l", str(file)],
            env=os.environ | {"MANROFFSEQ": "", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 and not done.stderr, done.stderr
        assert "SEE ALSO" in re.sub(".\b", "", done.stdout)  # bold is the same letter twice


def depended_on() -> list[str]:
    """The alternatives that the Debian package depends on, each as it is written."""
    text = (PACKAGING / "debian/control").read_text()
    (fields,) = re.findall(r"^Depends:\n((?: .*\n)+)", text, re.MULTILINE)
    return [it.strip() for it in fields.split(",")]


def bundled(name: str) -> set[str]:
    lines = (PACKAGING / "bundled" / name).read_text().splitlines()
    return {it.split("==")[0].lower() for it in lines if "==" in it}


def test_whatever_the_program_needs_is_depended_on_or_bundled_for_both_releases() -> None:
    """Debian 13's own are taken where they are new enough; for Debian 12 what is not is in the package."""
    for requirement in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
        name, oldest = re.match(r"([\w-]+)>=([\d.]+)", requirement).groups()  # type: ignore[union-attr]
        if name in bundled("python3.txt"):
            continue
        debian = f"python3-{_DEBIANS_NAMES.get(name, name)}"
        debians = re.compile(rf"{debian} \(>= (1:)?{re.escape(oldest)}\)( \| {re.escape(BOOKWORMS_PYTHON)})?")
        (found,) = [it for it in map(debians.fullmatch, depended_on()) if it] or pytest.fail(f"{requirement}: nowhere")
        is_bundled = name in bundled("python3.11.txt") | bundled("sources.txt")
        assert is_bundled == bool(found[2]), f"{name}: bundled for Debian 12 and depended on there, or neither"


def test_what_is_bundled_is_what_was_looked_at() -> None:
    """Each file by its hash: nobody between the index and the package can put another there."""
    for file in PACKAGING.glob("bundled/*.txt"):
        text = file.read_text().replace("\\\n", " ")
        for line in text.splitlines():
            if line and not line.startswith("#"):
                assert re.match(r"[\w-]+==[\w.]+ +--hash=sha256:[0-9a-f]{64}", line), line


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_knows_all_that_the_unit_says(tmp_path: Path) -> None:
    unit = tmp_path / "liveso.service"
    text = (PACKAGING / "debian/liveso.service").read_text()
    unit.write_text(text.replace("/usr/bin/liveso", shutil.which("true") or "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert done.returncode == 0
    assert "liveso.service" not in done.stderr, done.stderr


def test_the_unit_sets_nothing_that_keeps_the_daemon_from_its_work() -> None:
    """A filter of system calls of its own lets it suspend no others, and mounts of its own make it see other files."""
    text = (PACKAGING / "debian/liveso.service").read_text()
    said = {line.partition("=")[0] for line in text.splitlines() if "=" in line and not line.startswith("#")}
    of_filters = {"SystemCall", "Restrict", "Lock", "MemoryDeny", "ProtectHostname", "ProtectClock", "ProtectKernel"}
    of_mounts = {"ProtectSystem", "ProtectHome", "Private", "ProtectControl", "ProtectProc", "Read", "Inaccessible"}
    for it in said - {"RestartPreventExitStatus", "RestartSec", "Restart"}:
        assert not it.startswith(tuple(of_filters | of_mounts)), it
