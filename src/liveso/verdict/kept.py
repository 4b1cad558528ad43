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
    it = verdict.correspondence
    return {
        "findings": [asdict(finding) for finding in verdict.findings],
        "pieces": [[piece.start, piece.end, piece.old] for piece in it.pieces] if it else None,
        "elsewhere": sorted(it.elsewhere.items()) if it else [],
        "tables": [[piece.start, piece.end, piece.old] for piece in verdict.tables],
    }


def _read(path: Path) -> Verdict | None:
    """None where there is none, or a damaged one."""
    try:
        kept = json.loads(path.read_text())
        findings = tuple(_finding(row) for row in kept["findings"])
        tables = tuple(Piece(*row) for row in kept["tables"])
        if kept["pieces"] is None:
            return Verdict(findings, None, tables)
        pieces = tuple(Piece(*row) for row in kept["pieces"])
        return Verdict(findings, Correspondence(pieces, dict(kept["elsewhere"])), tables)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _finding(row: dict[str, Any]) -> Finding:
    symbol = tuple(row["symbol"]) if row["symbol"] else None
    return Finding(**{**row, "weight": Weight(row["weight"]), "symbol": symbol, "where": tuple(row["where"])})
