"""Verdicts that were reached before: by both contents, the rules, the policy, and the debug information there was."""

import contextlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from liveso.code import References
from liveso.elf import Image
from liveso.verdict.correspondence import Correspondence, Piece
from liveso.verdict.debug_files import DebugSource, debug_files
from liveso.verdict.finding import Finding, Policy, Verdict, Weight
from liveso.verdict.judge import judge
from liveso.verdict.rules_version import rules_version

_MOST = 2000  # verdicts


@dataclass(frozen=True)
class KeptVerdicts:
    """A folder of verdicts. One that cannot be written only costs time: everything is judged anew then."""

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
        verdict = _read(path)
        if verdict is None:
            verdict = judge(old, new, policy, source, references)
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
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix=".", delete=False) as file:
                json.dump(_as_json(verdict), file)
            os.rename(file.name, path)
            kept = sorted(self.folder.glob("*.json"), key=lambda it: it.stat().st_mtime)
            for oldest in kept[: max(0, len(kept) - _MOST)]:
                oldest.unlink(missing_ok=True)


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "findings": [asdict(finding) for finding in verdict.findings],
        "variables": _correspondence_as_json(verdict.correspondence),
        "thread_locals": _correspondence_as_json(verdict.thread_locals),
        "tables": _pieces_as_json(verdict.tables),
    }


def _correspondence_as_json(it: Correspondence | None) -> list[Any] | None:
    return [_pieces_as_json(it.pieces), sorted(it.elsewhere.items())] if it else None


def _pieces_as_json(pieces: tuple[Piece, ...]) -> list[list[int | None]]:
    return [[it.start, it.end, it.old] for it in pieces]


def _read(path: Path) -> Verdict | None:
    """None where there is none, or a damaged one."""
    try:
        kept = json.loads(path.read_text())
        findings = tuple(_finding(row) for row in kept["findings"])
        both = _correspondence(kept["variables"]), _correspondence(kept["thread_locals"])
        return Verdict(findings, *both, _pieces(kept["tables"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _correspondence(row: list[Any] | None) -> Correspondence | None:
    return None if row is None else Correspondence(_pieces(row[0]), dict(row[1]))


def _pieces(rows: list[list[Any]]) -> tuple[Piece, ...]:
    return tuple(Piece(*row) for row in rows)


def _finding(row: dict[str, Any]) -> Finding:
    symbol = tuple(row["symbol"]) if row["symbol"] else None
    return Finding(**{**row, "weight": Weight(row["weight"]), "symbol": symbol, "where": tuple(row["where"])})
