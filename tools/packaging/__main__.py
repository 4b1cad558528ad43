"""python3 -m tools.packaging FOLDER"""

import sys
from collections.abc import Iterator
from pathlib import Path

from tools.packaging.completions import completions
from tools.packaging.documented import exit_codes, settings
from tools.packaging.man_pages import command_pages, settings_page
from tools.packaging.settings_file import settings_file


def files() -> Iterator[tuple[str, str]]:
    """Where each file is installed, and what it has in it."""
    documented = settings()
    yield "etc/liveso/liveso.toml", settings_file(documented)
    for name, text in command_pages(exit_codes()):
        yield f"usr/share/man/man1/{name}.1", text
    yield "usr/share/man/man5/liveso.toml.5", settings_page(documented)
    yield from completions()


def write(folder: Path) -> None:
    for name, text in files():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 -m tools.packaging FOLDER")
    write(Path(sys.argv[1]))
