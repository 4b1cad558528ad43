"""Judge damaged libraries: `python -m tests.fuzz [COUNT] [--first SEED] [--jobs N] [--again LIBRARY:SEED]`.

Each mutant is made from its seed, and tried in a process that may use 10 s and 1 GiB for it. What ends in anything but
a verdict or an ImageError is shown, with how to repeat it, and makes the exit code 1.
"""

import argparse
import os
import resource
import select
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

from liveso.elf import Image, read_image
from tests.fuzz.mutants import mutant
from tests.fuzz.subjects import build
from tests.fuzz.trial import try_out

_LONGEST = 10  # seconds of processor time for a mutant
_STANDS = 120  # seconds in which nothing happens
_MOST_MEMORY = 1 << 30  # bytes besides what is there at the start


@dataclass(frozen=True, slots=True)
class Result:
    """How a mutant ended: "judged", "unreadable", or in words what went wrong."""

    library: str
    seed: int
    outcome: str

    @property
    def is_failure(self) -> bool:
        return self.outcome not in ("judged", "unreadable")


def run(images: dict[str, Image], seeds: range) -> Iterator[Result]:
    """Try the mutants of some seeds, library by library in turn, in child processes: one that stands is killed."""
    names = sorted(images)
    waiting = list(seeds)
    while waiting:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            _work(images, names, waiting, writing)
            os._exit(0)
        os.close(writing)
        done = list(_read(reading))
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for seed, outcome in zip(waiting, done, strict=False):
            yield Result(names[seed % len(names)], seed, outcome)
        waiting = waiting[len(done) :]
        if waiting:  # the child ended in the middle of the next
            ends = {-signal.SIGPROF: f"took more than {_LONGEST} s", -signal.SIGKILL: f"stood still for {_STANDS} s"}
            outcome = ends.get(status, f"ended the process (exit code {status})")
            yield Result(names[waiting[0] % len(names)], waiting[0], outcome)
            waiting = waiting[1:]


def _read(pipe: int) -> Iterator[str]:
    """The lines that come from a pipe, until it is closed or nothing comes for long."""
    rest = b""
    while select.select([pipe], [], [], _STANDS)[0]:
        content = os.read(pipe, 1 << 16)
        if not content:
            return
        *lines, rest = (rest + content).split(b"\n")
        yield from (line.decode() for line in lines)


def _work(images: dict[str, Image], names: list[str], seeds: list[int], pipe: int) -> None:
    """Try mutants, and write a line for each."""
    limit = _size_of_data() + _MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    for seed in seeds:
        signal.setitimer(signal.ITIMER_PROF, _LONGEST)
        name = names[seed % len(names)]
        os.write(pipe, (_outcome(images[name], name, seed) + "\n").encode())


def _outcome(image: Image, name: str, seed: int) -> str:
    try:
        return "judged" if try_out(image, mutant(image, Random(f"{name}:{seed}"))) else "unreadable"
    except Exception as error:  # any that comes this far is what is looked for
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return " ".join(f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})".split())


def _size_of_data() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    return pages * resource.getpagesize()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", metavar="LIBRARY:SEED")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="liveso-fuzz-") as folder:
        images = {path.name: read_image(path.read_bytes()) for path in build(Path(folder))}
    if options.again:
        name, _colon, seed = options.again.rpartition(":")
        print(try_out(images[name], mutant(images[name], Random(f"{name}:{seed}"))))
        return
    for image in images.values():
        try_out(image, image.content)  # what is loaded once is not the files' doing
    stop = options.first + options.count
    parts = [range(options.first + part, stop, options.jobs) for part in range(options.jobs)]
    counts: Counter[str] = Counter()

    def count(seeds: range) -> None:
        for it in run(images, seeds):
            counts["failed" if it.is_failure else it.outcome] += 1
            if it.is_failure:
                print(f"--again {it.library}:{it.seed}  {it.outcome}", flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(count, parts))
    print(*(f"{name}: {number}" for name, number in sorted(counts.items())), sep=", ")
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
