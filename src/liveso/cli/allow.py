import click

from liveso.client.ask import ask_for
from liveso.settings import read_settings
from liveso.text import plural, printable


@click.command()
@click.argument("library")
@click.argument("version")
def allow(library: str, version: str) -> None:
    """Apply an update that waits for a person, because values mean something else to the new version.

    LIBRARY is its path or base name, VERSION the beginning of its SHA-256 or build ID, at least 6 digits, as `liveso
    status` shows them. It holds for this content, in all processes that run the same version now, also after a restart.
    """
    answer = ask_for(read_settings(), "/allow", {"library": library, "version": version})
    pids = answer.get("pids", ())
    processes = plural(len(pids), "process", "processes")
    name = str(answer.get("build_id") or answer.get("version", ""))[:12]
    for path in answer.get("libraries", ()):
        print(printable(f"{path}: {name} is allowed, and goes into {processes}"))
