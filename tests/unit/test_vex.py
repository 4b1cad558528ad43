"""The OpenVEX document: by the rules of the JSON schema of version 0.2.0, and as a reader of OpenVEX takes it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from packageurl import PackageURL
from vexipy.document import Document

from liveso.cli.vex import purl, vex_document, write_vex
from liveso.errors import NotWritten
from liveso.services.packages import read_packages
from tests.package_answers import NEW, OLD, answer, row

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
DOCUMENT = {"@context", "@id", "author", "role", "timestamp", "last_updated", "version", "tooling", "statements"}
STATEMENT = {
    *("@id", "version", "vulnerability", "timestamp", "last_updated", "products", "status", "supplier", "status_notes"),
    *("justification", "impact_statement", "action_statement", "action_statement_timestamp"),
}
PURL = "pkg:deb/debian/libssl3@{}?arch=amd64&distro=debian-12"


def of(*rows: dict[str, Any]) -> dict[str, Any]:
    units = {it["pid"]: "nginx.service" for it in rows}
    return vex_document(read_packages(answer(units, *rows)), NOW)


def statements(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(it["vulnerability"]["name"], it["status"], it["products"][0]["@id"]) for it in document["statements"]]


def mixed() -> dict[str, Any]:
    return of(
        row(1, "/lib/libssl.so.3", OLD, NEW, NEW),
        row(2, "/lib/libssl.so.3", OLD, "3.0.19-1", NEW, "refused", "struct ssl_st grew"),
    )


def test_a_document_keeps_the_schema() -> None:
    document = mixed()
    assert document.keys() <= DOCUMENT
    assert document.keys() >= {"@context", "@id", "author", "timestamp", "version", "statements"}
    assert document["@context"] == "https://openvex.dev/ns/v0.2.0"
    assert type(document["version"]) is int and document["version"] >= 1
    assert document["timestamp"] == "2026-02-03T04:05:06+00:00"
    rows = [json.dumps(it, sort_keys=True) for it in document["statements"]]
    assert rows and len(set(rows)) == len(rows)
    for it in document["statements"]:
        assert it.keys() <= STATEMENT and it["status"] in ("fixed", "affected")
        assert it["vulnerability"].keys() == {"name"}
        assert (it["status"] == "affected") == bool(it.get("action_statement"))
        for product in it["products"]:
            assert product.keys() == {"@id", "identifiers"} and product["identifiers"] == {"purl": product["@id"]}
            assert PackageURL.from_string(product["@id"]).type == "deb"


def test_a_reader_of_openvex_takes_it() -> None:
    document = mixed()
    read = Document.from_json(json.dumps(document))
    assert len(read.statements) == len(document["statements"])
    assert {it.status.value for it in read.statements} == {"fixed", "affected"}


def test_fixed_is_only_what_is_in_force_in_all_processes() -> None:
    new, between = PURL.format(NEW), PURL.format("3.0.19-1")
    assert statements(mixed()) == [
        ("CVE-2026-0001", "fixed", between),
        ("CVE-2026-0001", "fixed", new),
        ("CVE-2026-0002", "affected", between),
        ("CVE-2026-10000", "affected", between),
    ]


def test_the_action_says_how_the_fix_comes_into_the_process() -> None:
    it = mixed()["statements"][2]
    assert it["action_statement"] == "`systemctl restart nginx` brings it"
    assert it["status_notes"] == "runs in the memory of nginx (1 process); 3.0.20-1 lies on disk"


def test_the_same_facts_are_the_same_document() -> None:
    assert mixed() == mixed()
    assert mixed()["@id"] != of(row(1, "/lib/libssl.so.3", OLD, NEW, NEW))["@id"]


def test_versions_are_escaped_as_package_urls_have_them() -> None:
    version = "1:2.9.14+dfsg-1.3~deb12u4"
    (library,) = read_packages(answer({1: ""}, row(1, "/lib/x.so", version, version, version)))
    assert library.runs
    product = purl(library.runs)
    assert PackageURL.from_string(product).version == version and "+" not in product


def test_nothing_to_state_is_no_document(tmp_path: Path) -> None:
    with pytest.raises(NotWritten, match="nothing to state"):
        write_vex(str(tmp_path / "it"), of())
    assert not (tmp_path / "it").exists()
    with pytest.raises(NotWritten, match="cannot be written"):
        write_vex(str(tmp_path / "no/such/folder"), mixed())
    write_vex(str(tmp_path / "it"), mixed())
    assert json.loads((tmp_path / "it").read_text()) == mixed()
