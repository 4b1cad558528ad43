"""Some of the programs that `make compatibility` tries: those that are quick."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bench.compatibility.offers import Offers
from bench.compatibility.runner import run
from bench.compatibility.subjects import SUBJECTS

CACHE = Path(os.environ.get("XDGCACHE_HOME") or Path.home() / ".cache") / "liveso" / "compatibility"
_LIBRARIES = {
    "Python": {"liblzma.so.5", "libexpat.so.1"},
    "PostgreSQL": {"libpq.so.5", "libxml2.so.2"},
    "memcached": {"libsasl2.so.2", "libevent-2.1.so.7"},
}


@pytest.fixture(scope="module")
def offers() -> Offers:
    return Offers(CACHE)


@pytest.mark.parametrize("program", _LIBRARIES)
def test_no_request_fails_and_each_process_runs_the_new_version_or_was_told_why_not(
    offers: Offers, program: str
) -> None:
    wanted = _LIBRARIES[program]
    subject = next(it for it in SUBJECTS if it.name == program)
    changes = tuple(it for it in subject.changes if wanted.issuperset(it.libraries))
    rows = run(replace(subject, changes=changes), offers)
    assert {it.library for it in rows} == wanted, rows
    for row in rows:
        assert row.verdict in ("applies", "refused", "held back") and row.requests > 20 and not row.failed, row
