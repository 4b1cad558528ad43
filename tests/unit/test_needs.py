"""Which libraries of a target may go to new versions, and which must wait for which."""

from collections.abc import Callable
from pathlib import Path

import pytest

from liveso.elf import Image, read_image
from liveso.plan import Choice, Offers, choose, groups, unmet_need
from tests.unit.images import compile_library

NOTHING: dict[str, frozenset[str]] = {}


def needs(**found: str) -> dict[str, frozenset[str]]:
    return {name: frozenset(text.split()) for name, text in found.items()}


def refusing(*names: str) -> Callable[[str, frozenset[str]], str]:
    return lambda path, _going: "it grew" if path in names else ""


def test_all_go_where_nothing_stands_against_it() -> None:
    choice = choose(needs(ssl="crypto", crypto=""), [], refusing())
    assert choice == Choice(frozenset({"ssl", "crypto"}), {}, {})


def test_what_needs_a_refused_library_is_held_back_also_by_way_of_others() -> None:
    choice = choose(needs(curl="ssl", ssl="crypto", crypto="", z=""), [], refusing("crypto"))
    assert choice.going == {"z"}
    assert choice.refused == {"crypto": "it grew"}
    assert choice.held_back == {"ssl": "crypto", "curl": "ssl"}


def test_what_others_need_goes_although_these_are_refused() -> None:
    choice = choose(needs(ssl="crypto", crypto=""), [], refusing("ssl"))
    assert choice == Choice(frozenset({"crypto"}), {"ssl": "it grew"}, {})


def test_what_is_behind_and_no_candidate_holds_back_what_needs_it() -> None:
    choice = choose(needs(ssl="crypto c", z="c"), ["crypto"], refusing())
    assert choice == Choice(frozenset({"z"}), {}, {"ssl": "crypto"})


def test_libraries_that_need_each_other_go_together_or_stay_together() -> None:
    assert choose(needs(a="b", b="a"), [], refusing()).going == {"a", "b"}
    choice = choose(needs(a="b", b="a"), [], refusing("b"))
    assert (choice.going, choice.held_back) == (frozenset(), {"a": "b"})


def test_who_stays_may_need_what_a_new_version_has_no_more() -> None:
    def refusal(path: str, going: frozenset[str]) -> str:
        return "a symbol is gone" if path == "base" and "top" not in going else ""

    both = choose(needs(top="base", base=""), [], refusal)
    assert both.going == {"top", "base"}
    choice = choose(needs(top="base other", base=""), ["other"], refusal)
    assert (choice.going, choice.refused) == (frozenset(), {"base": "a symbol is gone"})
    assert choice.held_back == {"top": "other"}


def test_groups_are_what_is_connected_by_needs() -> None:
    found = groups(["ssl", "crypto", "z", "png"], needs(ssl="crypto c", crypto="c", z="c", png="z"))
    assert found == [{"ssl", "crypto"}, {"png", "z"}]
    assert groups([], NOTHING) == []


def test_what_goes_elsewhere_than_to_what_lies_on_disk_holds_back_what_needs_it() -> None:
    choice = choose(needs(top="base", base=""), ["base"], refusing())
    assert choice == Choice(frozenset({"base"}), {}, {"top": "base"})


def test_what_only_a_version_offers_that_does_not_run_is_waited_for() -> None:
    def unmet(path: str, going: frozenset[str]) -> str:
        return "base" if path == "top" and "base" not in going else ""

    both = choose(needs(top="base", base="", above="top"), [], refusing(), unmet)
    assert both.going == {"top", "base", "above"}
    choice = choose(needs(top="base", above="top"), [], refusing(), unmet)
    assert (choice.going, choice.held_back) == (frozenset(), {"top": "base", "above": "top"})


def library(folder: Path, text: str) -> Image:
    return read_image(compile_library(folder, text=text))


USER = "int %s(void); int made(void) { return %s(); }"
OLD, NEW = "int one(void) { return 1; }", "int one(void) { return 1; } int two(void) { return 2; }"


@pytest.mark.parametrize(("name", "expected"), [("one", ""), ("two", "base"), ("strlen", ""), ("unknown", "")])
def test_what_is_offered_by_a_version_that_does_not_run_is_unmet(tmp_path: Path, name: str, expected: str) -> None:
    user, old, new = (library(tmp_path, text) for text in (USER % (name, name), OLD, NEW))
    found = unmet_need(user, "user", Offers({"base": old}, {"base": [old, new]}))
    assert (found[0] if found else "", found[1].name if found else "") == (expected, name if expected else "")


def test_it_is_not_where_the_version_goes_in_too_or_another_library_offers_it(tmp_path: Path) -> None:
    user, old, new = (library(tmp_path, text) for text in (USER % ("two", "two"), OLD, NEW))
    offers = Offers({"base": old}, {"base": [new]})
    assert unmet_need(user, "user", offers)
    assert not unmet_need(user, "user", offers.if_going({"base": new}))
    assert not unmet_need(user, "user", Offers({"base": old, "other": new}, {"base": [new]}))
    assert not unmet_need(user, "base", offers)  # its own versions


def test_one_with_a_version_is_not_met_by_another_version_of_it(tmp_path: Path) -> None:
    new, folder = library(tmp_path, NEW), tmp_path / "user"
    folder.mkdir()
    link = ("-Wl,--no-as-needed", f"-L{tmp_path}", "-l:whole.so")
    user = read_image(compile_library(folder, *link, text=USER % ("two", "two")))
    assert next(it for it in user.symbols if it.name == "two").version == "TWO"
    other = library(tmp_path, NEW.replace("two", "second"))
    assert unmet_need(user, "user", Offers({"base": other}, {"base": [new]}))
