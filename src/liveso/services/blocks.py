"""What `liveso status` shows of many processes: those of one program with the same results together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from liveso.client.answer import CURRENT, Library, Target, rank
from liveso.places import program

_SHOWN_PIDS = 12


@dataclass(frozen=True, slots=True)
class Row:
    """A library in the processes of a block: `latest` is that of the process that changed last, `milliseconds` and
    `stale_functions` and `stale_threads` are those of all."""

    latest: Library
    milliseconds: float
    stale_functions: tuple[str, ...]
    stale_threads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Processes of which the same is to be said. `current` are the least and the most libraries that are current in one
    of them, and not among the rows. `container` is the one that they run in."""

    command: str
    pids: tuple[int, ...]
    note: str
    rows: tuple[Row, ...]
    current: tuple[int, int]
    container: str = ""

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to say but the number of its libraries."""
        return not self.rows and not self.note

    @property
    def rank(self) -> int:
        """How early it is shown: by its worst result, those that are not served behind those that were refused."""
        ranks = [2 * rank(it.latest.result) for it in self.rows]
        return min([*ranks, 2 * rank("held back") + 1 if self.note else 2 * rank(CURRENT)])


def choose(targets: Iterable[Target], what: str) -> list[Target]:
    """The processes that `what` names: by their process ID, by a part of their command, or of a library's path; then
    only with such libraries. All of them where it is empty."""
    if what.isdecimal():
        return [it for it in targets if it.pid == int(what)]
    chosen = []
    for it in targets:
        if what in it.command:
            chosen.append(it)
        elif named := tuple(library for library in it.libraries if what in library.path):
            chosen.append(replace(it, libraries=named))
    return chosen


def blocks(targets: Iterable[Target], is_verbose: bool) -> list[Block]:
    """Processes put together, those first that ask for attention. With `is_verbose`, each library is a row, and only
    processes with the same command line are put together."""
    together: dict[object, list[Target]] = {}
    for it in targets:
        name = it.command if is_verbose else program(it.command)
        together.setdefault((name, it.note, it.container, _said(it, is_verbose)), []).append(it)
    return sorted((_block(it, is_verbose) for it in together.values()), key=lambda it: (it.rank, it.command, it.pids))


def by_program(targets: Iterable[Target]) -> list[str]:
    """Processes in words, those of one program together: `nginx: worker process — 2 processes: 812 813`."""
    together: dict[str, list[Target]] = {}
    for it in targets:
        together.setdefault(program(it.command), []).append(it)
    return [f"{common([it.command for it in them])} — {_processes(them)}" for them in together.values()]


def _processes(targets: Sequence[Target]) -> str:
    return processes(sorted(it.pid for it in targets), is_verbose=True)


def _said(target: Target, is_verbose: bool) -> frozenset[object]:
    return frozenset(
        (it.path, it.version, it.word, it.reason, it.details, it.unprotected) if is_verbose else _brief(it)
        for it in _shown(target, is_verbose)
    )


def _brief(it: Library) -> tuple[str, ...]:
    return it.path, it.version, it.word, it.reason


def _shown(target: Target, is_verbose: bool) -> list[Library]:
    return [it for it in target.libraries if is_verbose or it.result != CURRENT or it.stale_functions]


def _block(targets: Sequence[Target], is_verbose: bool) -> Block:
    rows: dict[tuple[str, ...], list[Library]] = {}
    for target in targets:
        for it in _shown(target, is_verbose):
            rows.setdefault(_brief(it), []).append(it)
    counts = [len(it.libraries) - len(_shown(it, is_verbose)) for it in targets]
    return Block(
        command=common([it.command for it in targets]),
        pids=tuple(sorted(it.pid for it in targets)),
        note=targets[0].note,
        rows=tuple(row_of(it) for it in rows.values()),
        current=(min(counts), max(counts)),
        container=targets[0].container,
    )


def row_of(libraries: Sequence[Library]) -> Row:
    """One library in several processes."""
    return Row(
        latest=max(libraries, key=lambda it: it.changed),
        milliseconds=max(it.milliseconds for it in libraries),
        stale_functions=tuple(sorted({name for it in libraries for name in it.stale_functions})),
        stale_threads=tuple(text for it in libraries for text in it.stale_threads),
    )


def common(commands: Sequence[str]) -> str:
    """The command line, or the words with which all of them begin."""
    if len(set(commands)) == 1:
        return commands[0]
    words = []
    for column in zip(*(it.split(" ") for it in commands), strict=False):
        if len(set(column)) > 1:
            break
        words.append(column[0])
    return " ".join([*(words or [program(commands[0])]), "…"])


def processes(pids: Sequence[int], is_verbose: bool) -> str:
    """The process IDs in words; a few of many, if not `is_verbose`."""
    if len(pids) == 1:
        return f"process {pids[0]}"
    shown = pids if is_verbose else pids[:_SHOWN_PIDS]
    more = f" and {len(pids) - len(shown)} more" if len(pids) > len(shown) else ""
    return f"{len(pids)} processes: {' '.join(map(str, shown))}{more}"
