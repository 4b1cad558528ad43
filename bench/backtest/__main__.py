"""Judge the updates that Debian published within its stable releases, and write what came out to `docs/backtest.md`.

    python -m bench.backtest [--releases bookworm,bullseye,trixie] [--architecture amd64] [--per-source 3] [--workers 2]

Everything is kept below the cache folder: packages, and judgements by the version of the rules. A run that was
interrupted goes on where it stopped.
"""

import os
from pathlib import Path
from subprocess import CalledProcessError

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.backtest.judgements import Judgement, judge_all
from bench.backtest.releases import Release, Update, some_of_each_source
from bench.backtest.report import report
from liveso.verdict import rules_version

_DOCUMENTS = Path(__file__).parents[2] / "docs"


@click.command(context_settings={"show_default": True})
@click.option("--releases", default="bookworm,bullseye,trixie", help="Code names, separated by commas.")
@click.option("--architecture", default="amd64", help="Debian's name of the architecture.")
@click.option("--per-source", default=3, help="At most so many packages of one source package.")
@click.option("--workers", default=os.cpu_count() or 1, help="How many pairs to judge at once.")
def main(releases: str, architecture: str, per_source: int, workers: int) -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liveso" / "backtest"
    known = {
        name: Release(name, architecture, cache / f"{name}-{architecture}") for name in releases.split(",") if name
    }
    updates: list[Update] = []
    for release in known.values():
        try:
            release.refresh()
        except CalledProcessError as error:
            raise SystemExit(f"the lists of {release.name} for {architecture} cannot be fetched") from error
        updates.extend(some_of_each_source(release.updates(), per_source))
    kept = cache / f"judgements-{architecture}-{rules_version()[:16]}.jsonl"
    found: list[Judgement] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("updates", total=len(updates))
        for judgements in judge_all(updates, known, kept, workers):
            found.extend(judgements)
            progress.advance(task)
    name = "backtest.md" if architecture == "amd64" else f"backtest-{architecture}.md"
    (_DOCUMENTS / name).write_text(report(found, architecture))
    print(f"docs/{name} is written: {len(found)} pairs of libraries from {len(updates)} updates")


if __name__ == "__main__":
    main()
