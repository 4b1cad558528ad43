"""Try programs under load while their libraries change, and write what came of it to `docs/compatibility.md`.

    python -m bench.compatibility [PROGRAM…]

Names of programs: only these are tried, and the document is left as it is. Packages are kept below the cache folder.
Exit code 1: a request failed, a process crashed, or a library was neither updated nor refused.
"""

import os
import time
from pathlib import Path

import click

from bench.compatibility.offers import Offers
from bench.compatibility.report import report
from bench.compatibility.runner import Row, run
from bench.compatibility.subjects import SUBJECTS

_DOCUMENT = Path(__file__).parents[2] / "docs" / "compatibility.md"


@click.command(help="PROGRAMS are names, or parts of them.")
@click.argument("programs", nargs=-1)
def main(programs: tuple[str, ...]) -> None:
    offers = Offers(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liveso" / "compatibility")
    chosen = [it for it in SUBJECTS if not programs or any(name.lower() in it.name.lower() for name in programs)]
    rows: list[Row] = []
    for subject in chosen:
        begin = time.monotonic()
        found = run(subject, offers)
        rows += found
        for row in found:
            print(f"{row.program}: {row.library} {row.before} → {row.after}: {row.verdict} {row.reason[:300]}")
            print(
                f"    {row.processes} processes, {row.milliseconds:.0f} ms, stall {1e3 * row.stall:.0f} ms, "
                f"usual {1e3 * row.usual:.0f} ms, {row.requests} requests, {row.failed} failed"
            )
        print(f"{subject.name}: {time.monotonic() - begin:.0f} s", flush=True)
    if not programs:
        _DOCUMENT.write_text(report(rows))
        print(f"docs/{_DOCUMENT.name} is written")
    if failures := [it for it in rows if it.is_failure]:
        raise SystemExit(f"{len(failures)} failures")


if __name__ == "__main__":
    main()
