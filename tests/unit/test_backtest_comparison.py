"""What the document about two machines says of judgements."""

import pytest

pytest.importorskip("debian", reason="python-debian reads the lists of packages")

from bench.backtest.comparison import Compared, comparison
from bench.backtest.judgements import Judgement
from bench.backtest.releases import Update
from bench.backtest.two_machines import some_updates


def _judgement(library: str, outcome: str, *rules: str, seconds: float = 1.0) -> Judgement:
    update = Update("bookworm", f"lib{library}", library, "1", "2")
    return Judgement(update, f"lib{library}.so.1", outcome, rules, f"evidence for {library}", seconds, 1000)


def test_pairs_are_counted_by_both_verdicts_and_those_that_differ_are_listed() -> None:
    amd64 = [
        _judgement("same", "applies"),
        _judgement("strict", "applies"),
        _judgement("lenient", "refused", "witness"),
        _judgement("slow", "applies"),
        _judgement("refused", "refused", "witness"),
        _judgement("alone", "refused", "witness", seconds=100),
    ]
    arm64 = [
        _judgement("same", "applies"),
        _judgement("strict", "refused", "plan"),
        _judgement("lenient", "applies"),
        _judgement("slow", "failed"),
        _judgement("refused", "refused", "witness", "variable", seconds=2.5),
    ]
    lines = comparison(Compared("bookworm", 8, 6, amd64, arm64)).splitlines()
    for row in ("applies on both | 1", "refused on both | 1", "refused on arm64 only | 1", "refused on amd64 only | 1"):
        assert f"| {row} |" in lines
    assert "| failed on one or both | 1 |" in lines and "| all | 5 |" in lines
    assert "| plan | 1 | 0 |" in lines and "| witness | 0 | 1 |" in lines and "| variable | 1 | 0 |" in lines
    assert "| libstrict.so.1 | libstrict 1 → 2 | plan | evidence for strict |" in lines
    assert any("5 for amd64, 6 for arm64" in it and "left out: 1" in it for it in lines)
    assert not any("libalone" in it or "libsame" in it for it in lines)


def test_the_same_updates_are_chosen_each_time_and_mostly_with_others_besides() -> None:
    updates = [Update("bookworm", f"lib{number}", "source", "1", "2") for number in range(100)]
    chosen = some_updates(updates, 20)
    assert chosen == some_updates(updates[::-1], 20) and len(chosen) == 20
    assert len(set(some_updates(updates[:95], 20)) & set(chosen)) >= 15
    assert some_updates(updates, 200) == sorted(updates, key=lambda it: it.package)
