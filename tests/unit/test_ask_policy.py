"""The policy `ask`: a person is asked about meanings that changed, and about nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from liveso.elf import Image, read_image
from liveso.verdict import DebugSource, KeptVerdicts, Policy, Verdict, Weight, judge
from liveso.verdict.judge import LAYERS
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, Rule, note, refuse
from tests.unit.images import compile_library


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return read_image(compile_library(tmp_path))


def judged(image: Image, monkeypatch: pytest.MonkeyPatch, policy: Policy, **layers: Difference | Exception) -> Verdict:
    for layer, found in layers.items():

        def compare(_pair: Pair, found: Difference | Exception = found) -> Iterator[Difference]:
            if isinstance(found, Exception):
                raise found
            yield found

        monkeypatch.setitem(LAYERS, layer, (*LAYERS[layer], Rule("test", compare)))
    return judge(image, image, policy)


@pytest.mark.parametrize("found", [note("noted"), refuse("refused")])
def test_a_meaning_that_changed_is_asked_about(
    image: Image, monkeypatch: pytest.MonkeyPatch, found: Difference
) -> None:
    verdict = judged(image, monkeypatch, Policy.ASK, meaning=found)
    assert not verdict.refusals(None) and [it.text for it in verdict.questions] == [found.text]
    assert not judged(image, monkeypatch, Policy.STRICT).questions


@pytest.mark.parametrize("layer", ["DWARF", "witness", "layout", "state"])
def test_what_other_layers_find_is_as_strict_as_ever(image: Image, monkeypatch: pytest.MonkeyPatch, layer: str) -> None:
    verdict = judged(image, monkeypatch, Policy.ASK, **{layer: refuse("no"), "meaning": note("noted")})
    assert [it.text for it in verdict.refusals(None)] == ["no"] and [it.text for it in verdict.questions] == ["noted"]
    noted = judged(image, monkeypatch, Policy.ASK, **{layer: note("a note")})
    assert "a note" in [it.text for it in noted.findings if it.weight is Weight.NOTE]


def test_a_rule_that_went_wrong_is_nothing_that_a_person_could_answer(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = judged(image, monkeypatch, Policy.ASK, meaning=OverflowError("too large"))
    assert not verdict.questions and "OverflowError" in verdict.refusals(None)[0].text


def test_questions_are_kept(image: Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    verdict = judged(image, monkeypatch, Policy.ASK, meaning=refuse("refused"))
    kept = KeptVerdicts(tmp_path / "verdicts")
    for policy in (Policy.ASK, Policy.STRICT, Policy.ASK):
        found = kept.judge(image, image, policy, DebugSource(folders=()))
        assert bool(found.questions) == (policy is Policy.ASK) != bool(found.refusals(None))
    assert found.questions == verdict.questions
