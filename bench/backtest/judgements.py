"""Judging updates, each library in a process of its own, with the results kept line by line so that a run that was
interrupted goes on where it stopped."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.backtest.releases import Release, Update
from liveso.errors import PackageError
from liveso.packages import PackageLibrary, libraries_in, unpack
from liveso.verdict import Weight

_LONGEST = 300  # seconds for one pair
_PLAN = "plan"
_MOST_LIBRARIES = 4  # of one package: some consist of a hundred small plugins
_MOST_MEMORY = 6 << 30  # bytes


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of each library of an update that has at most `largest` bytes: the verdict, and with `wants_plan`
    whether the plan of an accepted one can be made, too."""

    wants_plan: bool = False
    largest: int = 1 << 62


@dataclass(frozen=True, slots=True)
class Judgement:
    """What `liveso check` said about one library of an update: `outcome` is applies, refused, or failed.

    `evidence` is the strongest finding, `rules` those that refuse ("plan" where only the plan cannot be made),
    `seconds` the time of the whole process, `size` that of the new file in bytes.
    """

    update: Update
    library: str
    outcome: str
    rules: tuple[str, ...]
    evidence: str
    seconds: float
    size: int


def judge_all(
    updates: Iterable[Update], releases: dict[str, Release], kept: Path, workers: int, question: Question = Question()
) -> Iterator[list[Judgement]]:
    """The judgements over each update, in no order: those in the file `kept`, and then the missing ones, which are
    added to it."""
    known = _read(kept)
    missing = []
    for update in updates:
        if update in known:
            yield known[update]
        else:
            missing.append(update)
    with ThreadPoolExecutor(workers) as pool, kept.open("a") as file:
        running = [pool.submit(_judge_update, update, releases[update.release], question) for update in missing]
        try:
            for done in as_completed(running):
                update, found = done.result()
                print(json.dumps([asdict(update), [asdict(it) for it in found]]), file=file, flush=True)
                yield found
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _read(kept: Path) -> dict[Update, list[Judgement]]:
    found: dict[Update, list[Judgement]] = {}
    for line in kept.read_text().splitlines() if kept.exists() else ():
        update, rows = json.loads(line)
        found[Update(**update)] = [
            Judgement(**{**row, "update": Update(**row["update"]), "rules": tuple(row["rules"])}) for row in rows
        ]
    return found


def _judge_update(update: Update, release: Release, question: Question) -> tuple[Update, list[Judgement]]:
    try:
        old, new = (
            {
                it.name: it
                for it in libraries_in(unpack(update.package, version, release.folder / "packages", release.options))
            }
            for version in (update.old, update.new)
        )
    except PackageError as error:
        return update, [Judgement(update, "", "failed", (), str(error), 0.0, 0)]
    changed = [name for name in old.keys() & new.keys() if old[name].path.read_bytes() != new[name].path.read_bytes()]
    changed = [name for name in changed if new[name].path.stat().st_size <= question.largest]
    largest = sorted(changed, key=lambda name: (-new[name].path.stat().st_size, name))[:_MOST_LIBRARIES]
    return update, [_judge_library(update, old[name], new[name], question) for name in largest]


def _judge_library(update: Update, old: PackageLibrary, new: PackageLibrary, question: Question) -> Judgement:
    command = [sys.executable, "-m", "liveso", "check", str(old.path), str(new.path), "--json", "--no-debuginfod"]
    command += ["--plan"] if question.wants_plan else []
    begin = time.monotonic()
    size = new.path.stat().st_size
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST,
            preexec_fn=_bound_memory,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    except subprocess.TimeoutExpired:
        return Judgement(update, old.name, "failed", (), f"no answer within {_LONGEST} s", _LONGEST, size)
    seconds = round(time.monotonic() - begin, 2)
    if done.returncode not in (0, 1, 3):
        return Judgement(update, old.name, "failed", (), done.stderr.strip()[-300:], seconds, size)
    answer = json.loads(done.stdout)[0]
    findings = answer["findings"]
    if done.returncode == 0 and "reason" in answer.get("plan", {}):
        return Judgement(update, old.name, "refused", (_PLAN,), answer["plan"]["reason"], seconds, size)
    refusing = [it for it in findings if it["weight"] != Weight.NOTE]
    first = (refusing or findings)[:1]
    return Judgement(
        update,
        old.name,
        "refused" if done.returncode else "applies",
        tuple(sorted({it["rule"] for it in refusing})),
        first[0]["text"] if first else "",
        seconds,
        size,
    )


def _bound_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
