"""`liveso page` of a real daemon: an update appears while somebody looks, and is taken back there."""

import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from liveso.errors import ExitCode
from tests.browsing import browser, looking, served_page
from tests.connections import LIBRARY, PROGRAM, flags
from tests.harness import LIMIT, Bench, Program
from tests.listeners import command, environment

CELL = '[role=gridcell][aria-label^="libconn.so in program of "]'


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as it:
        yield it


@pytest.fixture
def program(bench: Bench) -> Program:
    """One that uses version 1 of a library, of which 2 may replace it, and 3 has another layout."""
    for version in (1, 2, 3):
        named = f"libconn.{version}.so", "-Wl,-soname,libconn.so"
        bench.compile(LIBRARY, *named, *flags(version, has_other_layout=version == 3))
    bench.link("libconn.1.so", "libconn.so")
    bench.compile(PROGRAM, "program", "-L.", "-l:libconn.so", "-Wl,-rpath,$ORIGIN")
    program = bench.run("./program")
    bench.library(program.pid, "libconn.so")
    return program


def shows(page: Page, word: str) -> None:
    expect(page.locator(f"{CELL} use")).to_have_attribute("href", f"#sign-{word}", timeout=LIMIT * 1000)


def says(program: Program) -> str:
    after = len(program.lines)
    program.ask("")
    return program.wait_for("version", after)


def test_an_update_appears_and_the_page_takes_it_back(chromium: Browser, bench: Bench, program: Program) -> None:
    with served_page(bench.environment) as served, looking(chromium, served.link) as page:
        shows(page, "current")
        bench.update("libconn.2.so", "libconn.so", program.pid)
        shows(page, "updated")
        assert says(program) == "version 2"
        entry = page.locator("#past .what").first
        expect(entry).to_contain_text("libconn.so updated in program")
        expect(entry).to_contain_text("threads held still for")
        page.locator(CELL).click()
        page.get_by_role("button", name="Roll back").click()
        page.get_by_role("button", name="Do it").click()
        expect(page.locator(".said")).to_contain_text("1 process runs", timeout=LIMIT * 1000)
        assert says(program) == "version 1"
        shows(page, "rolled-back")
        page.get_by_role("button", name="Run what is on disk").click()
        page.get_by_role("button", name="Do it").click()
        shows(page, "updated")
        bench.wait_for_version("libconn.2.so", "libconn.so", program.pid)
        assert says(program) == "version 2"


def test_a_refusal_shows_the_instructions_that_are_the_evidence(
    chromium: Browser, bench: Bench, program: Program
) -> None:
    bench.link("libconn.3.so", "libconn.so")
    bench.wait_for_result(program.pid, "libconn.so", "refused")
    with served_page(bench.environment) as served, looking(chromium, served.url) as page:
        expect(page.locator("h1")).to_have_text("The only service needs a restart.")
        page.locator(CELL).click()
        page.get_by_role("button", name="Compare the instructions").click()
        function = page.get_by_role("region", name="instructions of conn_write")
        expect(function.first).to_be_visible(timeout=LIMIT * 1000)
        expect(function.first.locator("tr.differs td.old").first).to_contain_text("[rdi]")
        expect(function.first.locator("tr.differs td.new").first).to_contain_text("[rdi + 8]")
        expect(page.locator(".finding", has_text="a member moved from +0x0 to +0x8").first).to_be_visible()


def test_a_page_on_a_socket_is_for_this_user_alone_and_is_gone_behind_it(bench: Bench) -> None:
    path = bench.folder / "page.sock"
    with served_page(bench.environment, "--socket", str(path)) as served:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        curl = ["curl", "-s", "--unix-socket", str(path), "http://localhost/"]
        assert "<title>liveso</title>" in subprocess.run(curl, capture_output=True, text=True, check=True).stdout
        again = command(bench.environment, "page", "--socket", str(path))
        assert (again.returncode, again.stderr.count("\n")) == (ExitCode.NOT_HERE, 1)
        assert "something listens there already" in again.stderr
        assert served.process.poll() is None
    assert not path.exists() and not list(bench.folder.glob("page*.token"))


def test_what_cannot_be_used_is_said_in_a_line(tmp_path: Path) -> None:
    variables = environment(tmp_path / "liveso.sock")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = command(variables, "page", "--port", port)
    assert done.returncode == ExitCode.NOT_HERE
    assert re.fullmatch(rf"liveso: port {port} of 127.0.0.1 .* listens there already; .*--port\n", done.stderr)
    (tmp_path / "file").write_text("precious")
    others = tmp_path / "others"
    others.mkdir()
    others.chmod(0o777)
    for path, text in (
        (tmp_path / "file", "is not a socket, and is left alone"),
        (others / "s", "can be written by other users"),
        (tmp_path / "no" / "s", "No such file or directory"),
        (tmp_path / ("long" * 30), "too long"),
    ):
        done = command(variables, "page", "--socket", str(path))
        assert done.returncode in (ExitCode.NOT_HERE, ExitCode.BAD_INPUT), done.stderr
        assert text in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert (tmp_path / "file").read_text() == "precious"
    done = command(variables, "page", "--socket", "x", "--port", "1")
    assert done.returncode == ExitCode.BAD_INPUT


def test_ctrl_c_ends_it_although_somebody_looks(bench: Bench) -> None:
    with served_page(bench.environment) as served:
        curl = ["curl", "-sN", f"{served.url}events"]
        with subprocess.Popen(curl, stdout=subprocess.PIPE, text=True) as reader:
            assert reader.stdout and reader.stdout.readline().startswith("data: {")
            served.process.send_signal(2)
            assert served.process.wait(LIMIT) == ExitCode.INTERRUPTED
            assert reader.wait(LIMIT) == 0
        assert not served.token_file.exists()


def test_nothing_heavy_is_loaded_for_it() -> None:
    heavy = "[it for it in ('numpy', 'capstone', 'drgn', 'textual') if it in sys.modules]"
    shown = subprocess.check_output([sys.executable, "-c", f"import sys, liveso.page; print({heavy})"], text=True)
    assert shown == "[]\n"
