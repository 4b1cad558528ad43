"""Which libraries of a target may go to new versions, and which must wait for which."""

from collections.abc import Callable

from liveso.plan import Choice, choose, groups

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
