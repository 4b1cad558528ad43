"""What a library in a service came from, and which CVEs that means: as `liveso cves` says it, of one cell."""

from collections.abc import Iterable, Sequence
from typing import Any

from liveso.client.answer import Library, Target
from liveso.services.packages import PackagedLibrary, read_packages

Json = dict[str, Any]


def fixes(answer: Json, found: Sequence[tuple[Target, Library]]) -> Json:
    """Of the daemon's `answer` to `/packages`, what is about the libraries that were `found`. `fixed` are the CVEs that
    are fixed in memory since the processes began, `missing` those that are fixed on disk and not in memory of all;
    `unknown` says why there may be more, and `packages` what each version came from."""
    places = {(target.pid, library.path) for target, library in found}
    about = [it for it in read_packages(answer) if (it.process.pid, it.path) in places]
    missing = _once(cve for it in about for cve in it.missing.cves)
    return {
        "packages": _once(_said(it) for it in about),
        "fixed": [cve for cve in _once(cve for it in about for cve in it.fixed.cves) if cve not in missing],
        "missing": missing,
        "unknown": _once(reason for it in about for reason in (it.missing.unknown, it.fixed.unknown) if reason),
    }


def _said(it: PackagedLibrary) -> str:
    parts = (("began with", it.began), ("runs", it.runs), ("on disk", it.on_disk))
    return f"{it.package}: " + ", ".join(f"{what} {one.package.version}" for what, one in parts if one)


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
