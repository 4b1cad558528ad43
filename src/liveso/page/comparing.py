"""Compares two versions in a store, for `evidence`: `python -m liveso.page.comparing STORE POLICY OLD NEW`."""

import json
import sys
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from liveso.errors import LivesoError
from liveso.page.instructions import in_both, place
from liveso.store import Store, Version
from liveso.verdict import DebugSource, KeptVerdicts, Policy

_MOST_FINDINGS = 30
_MOST_PLACES = 5  # of a finding
Json = dict[str, Any]


def evidence(root: Path, policy_name: str, old: str, new: str) -> Json:
    """The findings about two versions in the store, which are named by their SHA-256, with the instructions of the
    functions that each finding names. Raises ImageError, StoreError where one of them cannot be read."""
    store = Store(root)
    images = store.image(Version(old)), store.image(Version(new))
    kept = KeptVerdicts(root / "verdicts")
    verdict = kept.judge(*images, Policy(policy_name), DebugSource(), (old, new))
    told = []
    for it in islice(verdict.findings, _MOST_FINDINGS):
        functions = in_both(*images, [place(text) for text in it.where[:_MOST_PLACES]])
        shown = [{"name": name, "rows": [asdict(row) for row in rows]} for name, rows in functions]
        told.append({**asdict(it), "functions": shown})
    return {"findings": told, "more": max(0, len(verdict.findings) - _MOST_FINDINGS)}


def _main() -> None:
    store, policy, old, new = sys.argv[1:]
    try:
        found = evidence(Path(store), policy, old, new)
    except LivesoError as error:
        found = {"error": str(error)}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    _main()
