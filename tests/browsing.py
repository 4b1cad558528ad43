"""`liveso page` in a browser, for tests."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.listeners import LIMIT

CHROMIUM = "/usr/bin/chromium"


class Served:
    """`liveso page`, and where it can be reached."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout
        self.process = process
        lines: list[str] = []
        while not lines or not lines[-1].startswith("the token is in "):
            line = process.stdout.readline()
            assert line, "it has ended"
            lines.append(line.strip())
        self.url, self.link = lines[0].split()[-1], lines[-2].split()[-1]
        self.token_file = Path(lines[-1].removeprefix("the token is in ").removesuffix(", while the page runs"))
        self.token = self.token_file.read_text().strip()


@contextmanager
def served_page(variables: Mapping[str, str], *options: str) -> Iterator[Served]:
    process = subprocess.Popen(
        [sys.executable, "-m", "liveso", "page", *(options or ("--port", "0"))],
        env=dict(variables),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Served(process)
    finally:
        process.terminate()
        process.wait(LIMIT)
        assert process.stdout
        process.stdout.close()


@contextmanager
def browser() -> Iterator[Browser]:
    """Debian's own, since Playwright's are not needed for it."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        it = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield it
        it.close()


@contextmanager
def looking(browser: Browser, url: str, expected: str = "", **options: Any) -> Iterator[Page]:
    """A page that shows `url`, in a context of its own; what it complains of in the console fails the test, but for
    what contains the text that is `expected`."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not (expected and expected in message.text):
            complaints.append(message.text)

    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    context.set_default_timeout(LIMIT * 1000)
    page = context.new_page()
    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    try:
        yield page
    finally:
        context.close()
    assert not complaints
