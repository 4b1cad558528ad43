"""Judge the same updates of Debian's on two machines, and write where the verdicts differ to
`docs/backtest-arm64.md`.

    python -m bench.backtest.two_machines [--release bookworm] [--updates 65] [--largest 8] [--workers 2]

Libraries are compared that both architectures have in the same two versions, and what is asked includes the plan.
Everything is kept below the cache folder, and a run that was interrupted goes on where it stopped.
"""

import os
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from subprocess import CalledProcessError

import click

from bench.backtest.comparison import Compared, comparison
from bench.backtest.judgements import Judgement, Question, judge_all
from bench.backtest.releases import Release, Update, some_of_each_source
from liveso.verdict import rules_version

_DOCUMENTS = Path(__file__).parents[2] / "docs"
_MACHINES = ("amd64", "arm64")
_PER_SOURCE = 3


@click.command(context_settings={"show_default": True})
@click.option("--release", default="bookworm", help="The code name of Debian's release.")
@click.option("--updates", "count", default=65, help="At most so many updates, chosen by a hash of their names.")
@click.option("--largest", default=8.0, help="No library that is larger, in MB.")
@click.option("--workers", default=os.cpu_count() or 1, help="How many pairs to judge at once.")
def main(release: str, count: int, largest: float, workers: int) -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liveso" / "backtest"
    known = {machine: Release(release, machine, cache / f"{release}-{machine}") for machine in _MACHINES}
    for machine, it in known.items():
        try:
            it.refresh()
        except CalledProcessError as error:
            raise SystemExit(f"the lists of {release} for {machine} cannot be fetched") from error
    one, other = (it.updates() for it in known.values())
    shared = set(other)
    updates = some_updates(some_of_each_source([it for it in one if it in shared], _PER_SOURCE), count)
    question = Question(wants_plan=True, largest=int(largest * 1e6))
    found: dict[str, list[Judgement]] = {}
    for machine, it in known.items():
        # largest is part of what is asked: what is kept has an answer for no larger library
        kept = cache / f"plans-{machine}-{rules_version()[:16]}-{_plan_version()[:8]}-{largest:g}.jsonl"
        found[machine] = []
        for judgements in judge_all(updates, {release: it}, kept, workers, question):
            found[machine].extend(judgements)
    compared = Compared(release, largest, len(updates), *found.values())
    (_DOCUMENTS / "backtest-arm64.md").write_text(comparison(compared))
    print(f"docs/backtest-arm64.md is written: {len(compared.pairs)} pairs from {len(updates)} updates")


def some_updates(updates: list[Update], count: int) -> list[Update]:
    """The same ones each time, and most of them even where the release offers others besides."""
    by_hash = sorted(updates, key=lambda it: sha256(f"{it.package} {it.old} {it.new}".encode()).digest())
    return sorted(by_hash[:count], key=lambda it: (it.source, it.package))


def _plan_version() -> str:
    """A hash of the code that plans, which is no part of the rules."""
    content = sha256()
    for source in sorted(files("liveso.plan").iterdir(), key=lambda it: it.name):
        if source.name.endswith(".py"):
            content.update(source.read_bytes())
    return content.hexdigest()


if __name__ == "__main__":
    main()
