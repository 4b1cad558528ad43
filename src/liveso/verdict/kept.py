"""Verdicts that were reached before: by both contents, the rules, the policy, and the debug information there was."""

import contextlib
import json
import os
import stat
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from liveso.code import References
from liveso.compare.correspondence import Correspondence, Piece, SameFunction
from liveso.debug.debug_files import DebugSource, debug_files
from liveso.elf import Image
from liveso.errors import UnsafePath
from liveso.folders import open_folder
from liveso.settings import STORE_CURE
from liveso.verdict.finding import Finding, Policy, Verdict, Weight
from liveso.verdict.judge import JUDGING_FAILED, judge
from liveso.verdict.rules_version import rules_version

_MOST = 2000  # verdicts
_LARGEST = 16 << 20  # bytes of one
_LARGEST_NUMBER = 1 << 32  # bytes: no image is larger


@dataclass(frozen=True)
class KeptVerdicts:
    """A folder of verdicts. One that cannot be written, or holds something else than it should, only costs time:
    everything is judged anew then."""

    folder: Path

    def judge(
        self,
        old: Image,
        new: Image,
        policy: Policy,
        source: DebugSource,
        digests: tuple[str, str] | None = None,
        references: References | None = None,
    ) -> Verdict:
        """As `judge`, and at once where the same was asked before. `digests` are the SHA-256 of both files' contents,
        where they are known. What a debuginfod server may answer tomorrow is not kept."""
        if source.asks:
            return judge(old, new, policy, source, references)
        path = self._path(old, new, policy, source, digests)
        verdict = self._read(path)
        if verdict is None:
            verdict = judge(old, new, policy, source, references)
            if all(it.rule != JUDGING_FAILED for it in verdict.findings):  # that may have been the moment's
                self._write(path, verdict)
        return verdict

    def _path(
        self, old: Image, new: Image, policy: Policy, source: DebugSource, digests: tuple[str, str] | None
    ) -> Path:
        contents = digests or tuple(sha256(image.content).hexdigest() for image in (old, new))
        debug = [
            sorted(debug_files(image, source, origin).items())
            for image, origin in zip((old, new), source.origins, strict=True)
        ]
        question = json.dumps([contents, policy, rules_version(), debug])
        return self.folder / f"{sha256(question.encode()).hexdigest()}.json"

    def _write(self, path: Path, verdict: Verdict) -> None:
        content = to_text(verdict)
        if len(content) > _LARGEST:
            return
        with contextlib.suppress(OSError, UnsafePath):
            with open_folder(self.folder, STORE_CURE, make=True) as folder:
                folder.write(path.name, [content.encode()], 0o600)
            kept = sorted(self.folder.glob("*.json"), key=lambda it: it.lstat().st_mtime)
            for oldest in kept[: max(0, len(kept) - _MOST)]:
                oldest.unlink(missing_ok=True)

    def _read(self, path: Path) -> Verdict | None:
        """None where there is none, a damaged one, or one that another user could have changed."""
        try:
            with open_folder(self.folder, STORE_CURE):
                return _read(path)
        except (OSError, UnsafePath):
            return None


def to_text(verdict: Verdict) -> str:
    """What a file of a kept verdict holds: the SHA-256 of the rest in hexadecimal, a line's end, and JSON."""
    content = json.dumps(_as_json(verdict))
    return f"{sha256(content.encode()).hexdigest()}\n{content}"


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "findings": [asdict(finding) for finding in verdict.findings],
        "variables": _correspondence_as_json(verdict.correspondence),
        "thread_locals": _correspondence_as_json(verdict.thread_locals),
        "tables": _pieces_as_json(verdict.tables),
        "functions": [[it.old, it.new, it.place] for it in verdict.functions],
    }


def _correspondence_as_json(it: Correspondence | None) -> list[Any] | None:
    return [_pieces_as_json(it.pieces), sorted(it.elsewhere.items())] if it else None


def _pieces_as_json(pieces: tuple[Piece, ...]) -> list[list[int | None]]:
    return [[it.start, it.end, it.old] for it in pieces]


def _read(path: Path) -> Verdict | None:
    """None where there is none, or a damaged one."""
    try:
        digest, content = _content(path).split(b"\n", 1)
        if sha256(content).hexdigest().encode() != digest:
            return None
        kept = _fields(json.loads(content), "findings", "variables", "thread_locals", "tables", "functions")
        findings = tuple(map(_finding, _list(kept[0])))
        both = _correspondence(kept[1]), _correspondence(kept[2])
        return Verdict(findings, *both, _pieces(kept[3]), _functions(kept[4]))
    except (OSError, ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return None


def _content(path: Path) -> bytes:
    """The bytes of a file of this user. Raises OSError or ValueError for what is another's, no file, or too large."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(file, "rb") as opened:
        state = os.fstat(file)
        if not stat.S_ISREG(state.st_mode) or state.st_uid != os.geteuid() or state.st_size > _LARGEST:
            raise ValueError("not a kept verdict")
        return opened.read(_LARGEST)


def _fields(it: object, *names: str) -> list[object]:
    """The values of an object that has just these names. Raises ValueError for anything else, as all that follow."""
    if not isinstance(it, dict) or it.keys() != set(names):
        raise ValueError("other fields are expected")
    return [it[name] for name in names]


def _list(it: object, size: int | None = None) -> list[Any]:
    if not isinstance(it, list) or (size is not None and len(it) != size):
        raise ValueError("a list is expected")
    return it


def _number(it: object) -> int:
    if type(it) is not int or not 0 <= it <= _LARGEST_NUMBER:
        raise ValueError("a size or place is expected")
    return it


def _text(it: object) -> str:
    if not isinstance(it, str):
        raise ValueError("a text is expected")
    it.encode()  # half a surrogate pair could not be shown
    return it


def _correspondence(row: object) -> Correspondence | None:
    if row is None:
        return None
    pieces, elsewhere = _pieces(_list(row, 2)[0]), _list(_list(row, 2)[1])
    if any(one.end > other.start for one, other in pairwise(pieces)):
        raise ValueError("pieces that follow each other are expected")
    places = (_list(it, 2) for it in elsewhere)
    return Correspondence(pieces, {_number(place): _number(at) for place, at in places})


def _pieces(rows: object) -> tuple[Piece, ...]:
    found = []
    for row in _list(rows):
        start, end, old = _list(row, 3)
        if _number(start) > _number(end):
            raise ValueError("a piece is expected")
        found.append(Piece(start, end, None if old is None else _number(old)))
    return tuple(found)


def _functions(rows: object) -> tuple[SameFunction, ...]:
    found = []
    for row in _list(rows):
        old, new, place = _list(row, 3)
        found.append(SameFunction(_number(old), _number(new), None if place is None else _number(place)))
    return tuple(found)


def _finding(row: object) -> Finding:
    layer, rule, weight, text, symbol, old, new, where = _fields(row, *(it.name for it in fields(Finding)))
    name, version = _list(symbol, 2) if symbol is not None else ("", "")
    return Finding(
        _text(layer),
        _text(rule),
        Weight(_text(weight)),
        _text(text),
        None if symbol is None else (_text(name), _text(version)),
        _text(old),
        _text(new),
        tuple(map(_text, _list(where))),
    )
