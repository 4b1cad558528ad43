"""What `liveso cves --vex` writes: OpenVEX 0.2.0 (Vulnerability Exploitability eXchange).

A document says of products whether a vulnerability concerns them. Here it is about one machine: `fixed` where every
process that has the package in its memory has the fix, `affected` with what to do where one has not.
"""

import hashlib
import json
import os
import socket
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packageurl import PackageURL

from liveso import __version__
from liveso.dpkg import Provenance, number_of
from liveso.errors import NotWritten
from liveso.services.packages import PackagedLibrary, counted_services, cure

CONTEXT = "https://openvex.dev/ns/v0.2.0"


def vex_document(libraries: Iterable[PackagedLibrary], now: datetime | None = None) -> dict[str, Any]:
    """A document about what libraries' packages have fixed, and lack, in memory."""
    lacking: dict[tuple[str, str], list[PackagedLibrary]] = {}
    having: dict[tuple[str, str], list[PackagedLibrary]] = {}
    lacked: set[tuple[str, str]] = set()
    for it in libraries:
        if it.runs is None:
            continue
        for cve in it.missing.cves:
            lacking.setdefault((cve, purl(it.runs)), []).append(it)
            lacked.add((cve, it.package))
        for cve in it.fixed.cves:
            having.setdefault((cve, purl(it.runs)), []).append(it)
    statements = [_affected(cve, product, them) for (cve, product), them in lacking.items()]
    statements += [
        _statement(cve, product, "fixed")
        for (cve, product), them in having.items()
        if not any((cve, it.package) in lacked for it in them)
    ]
    statements.sort(key=lambda it: (number_of(it["vulnerability"]["name"]), it["products"][0]["@id"], it["status"]))
    content = hashlib.sha256(json.dumps([statements, socket.gethostname()]).encode()).hexdigest()
    timestamp = (now or datetime.now(UTC)).isoformat(timespec="seconds")
    return {
        "@context": CONTEXT,
        "@id": f"https://openvex.dev/docs/public/vex-{content}",
        "author": f"liveso on {socket.gethostname()}",
        "role": "the machine's own record of what its processes run",
        "timestamp": timestamp,
        "version": 1,
        "tooling": f"liveso {__version__}",
        "statements": [it | {"timestamp": timestamp} for it in statements],  # each, for readers that do not inherit it
    }


def purl(it: Provenance) -> str:
    """The package's URL, as scanners name Debian's packages."""
    distribution = it.release.id or "debian"
    distro = f"{distribution}-{it.release.number}" if it.release.number else ""
    qualifiers = {"arch": it.package.architecture, "distro": distro}
    chosen = {name: value for name, value in qualifiers.items() if value}
    return PackageURL("deb", distribution, it.package.name, it.package.version, chosen).to_string()


def _statement(cve: str, product: str, status: str) -> dict[str, Any]:
    return {
        "vulnerability": {"name": cve},
        "products": [{"@id": product, "identifiers": {"purl": product}}],
        "status": status,
    }


def _affected(cve: str, product: str, libraries: list[PackagedLibrary]) -> dict[str, Any]:
    there = next((it.on_disk.package.version for it in libraries if it.on_disk), "")
    processes = [it.process for it in libraries]
    return _statement(cve, product, "affected") | {
        "status_notes": f"runs in the memory of {counted_services(processes)}; {there} lies on disk",
        "action_statement": cure(processes),
    }


def write_vex(path: str, document: dict[str, Any]) -> None:
    """Write the document to a file, or to standard output. Raises NotWritten; one without a statement is none."""
    if not document["statements"]:
        raise NotWritten(f"{path}: no CVE is known that is fixed or missing in memory, so there is nothing to state")
    text = json.dumps(document, indent=2) + "\n"
    if path == "-":
        sys.stdout.write(text)
        return
    try:
        Path(path).write_text(text)
    except OSError as error:
        raise NotWritten(f"{path}: cannot be written ({os.strerror(error.errno or 0)})") from error
