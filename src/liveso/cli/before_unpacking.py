import sys

import click

from liveso.cli.unpacking import BEFORE_LIMIT, quietly
from liveso.client.ask import ask_daemon
from liveso.dpkg import archives_in
from liveso.settings import read_settings

_LIMIT = 5.0  # seconds; the answer comes before anything is judged
_MOST = 32768  # characters of a question
_LONGEST_INPUT = 16 << 20  # characters


@click.command()
def before_unpacking() -> None:
    """What apt (DPkg::Pre-Install-Pkgs) and dnf run before packages are unpacked: have judged what they bring."""
    with quietly(BEFORE_LIMIT):
        archives = archives_in(sys.stdin.read(_LONGEST_INPUT).splitlines())
        settings = read_settings()
        for start, end in _parts(archives):
            ask_daemon(settings, "/prejudge", {"archives": "\n".join(archives[start:end])}, _LIMIT)


def _parts(archives: list[str]) -> list[tuple[int, int]]:
    """Where questions begin and end that are not too long for the daemon; one at least, for it is to take notice."""
    parts, start, size = [], 0, 0
    for number, it in enumerate(archives):
        if size + len(it) + 1 > _MOST:
            parts.append((start, number))
            start, size = number, 0
        size += len(it) + 1
    return [*parts, (start, len(archives))]
