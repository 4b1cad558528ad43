"""Which CVEs the page names in a cell."""

from typing import Any

from liveso.client.answer import Library, Target
from liveso.page.fixes import fixes
from tests.package_answers import NEW, OLD, answer, row

PATH = "/lib/libssl.so.3"


def found(*pids: int) -> list[tuple[Target, Library]]:
    library = Library(PATH, "updated")
    return [(Target(pid, "x", 0, "", (library,)), library) for pid in pids]


def told(*pids: int) -> dict[str, Any]:
    units = {1: "a.service", 2: "a.service", 3: "b.service"}
    rows = row(1, PATH, OLD, NEW, NEW), row(2, PATH, OLD, "3.0.19-1", NEW, "refused"), row(3, PATH, NEW, NEW, NEW)
    return fixes(answer(units, *rows), found(*pids))


def test_what_is_fixed_in_memory_and_what_on_disk_only() -> None:
    updated = told(1)
    assert updated["fixed"] and set(updated["fixed"]) == {"CVE-2026-0001", "CVE-2026-0002", "CVE-2026-10000"}
    assert updated["missing"] == []
    assert updated["packages"] == [f"libssl3: began with {OLD}, runs {NEW}, on disk {NEW}"]


def test_one_process_that_lacks_it_is_enough_for_it_to_be_missing() -> None:
    both = told(1, 2)
    assert both["fixed"] == ["CVE-2026-0001"]
    assert set(both["missing"]) == {"CVE-2026-0002", "CVE-2026-10000"}


def test_other_processes_and_libraries_are_left_out() -> None:
    assert told(3)["fixed"] == told(3)["missing"] == []
    assert fixes(answer({1: "a.service"}, row(1, "/lib/other.so", OLD, OLD, NEW)), found(1))["packages"] == []
