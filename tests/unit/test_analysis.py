"""The whole analysis of a pair: it never ends in anything but a value, and that value can be sent and kept."""

import pickle
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liveso.code import PanicMark, data_references, thread_local_references
from liveso.code.references import REFERENCE
from liveso.compare.both_codes import BothCodes
from liveso.compare.located_variables import LocatedVariables
from liveso.elf import Image, read_image
from liveso.machine import MACHINES, Machine
from liveso.verdict import DebugSource, KeptVerdicts, PairAnalysis, Policy, Weight, analyse_pair, judge
from liveso.verdict.judge import JUDGING_FAILED, LAYERS
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, Rule
from tests.unit.images import TEXT, compile_library

NOWHERE = KeptVerdicts(Path("/proc/self/verdicts"))


@pytest.fixture
def images(tmp_path: Path) -> tuple[Image, Image]:
    added = TEXT.replace("static int large", "static int added; int more(void) { return added++; } static int large")
    return read_image(compile_library(tmp_path, "-g")), read_image(compile_library(tmp_path, "-g", text=added))


def analysed(old: Image, new: Image) -> PairAnalysis:
    return analyse_pair(old, new, NOWHERE, Policy.STRICT, DebugSource(folders=()))


def test_an_analysis_can_be_sent(images: tuple[Image, Image]) -> None:
    for pair in ((images[0], images[0]), images, images[::-1]):
        found = analysed(*pair)
        assert found.verdict.correspondence and found.verdict.findings is not None and len(found.references.table)
        again = pickle.loads(pickle.dumps(found))
        assert again == found and again is not found
        assert again.verdict == found.verdict and again.references == found.references
        assert again.thread_references == found.thread_references and len(found.thread_references.table)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=lambda it: it.name)
def test_what_is_known_of_a_processor_can_be_sent(machine: Machine) -> None:
    assert pickle.loads(pickle.dumps(machine)) == machine


def test_values_with_tables_are_told_from_others(images: tuple[Image, Image]) -> None:
    one, other = (data_references(it) for it in images)
    assert one != other and one == data_references(images[0]) and one != replace(one, table=one.table[1:])
    one_thread, other_thread = (thread_local_references(it) for it in images)
    assert one_thread != other_thread and one_thread == pickle.loads(pickle.dumps(one_thread))
    mark = PanicMark(1, np.array([(1, 2, 3, True)], REFERENCE), True)
    assert mark == pickle.loads(pickle.dumps(mark)) != replace(mark, references=mark.references[:0])


def test_an_image_can_be_sent_after_it_was_used(images: tuple[Image, Image]) -> None:
    judge(*images)
    again = tuple(pickle.loads(pickle.dumps(it)) for it in images)
    assert again[0].symbols == images[0].symbols and judge(*again) == judge(*images)


@pytest.mark.parametrize("error", [OverflowError("too large"), MemoryError(), RecursionError("too deep"), KeyError(7)])
@pytest.mark.parametrize("layer", list(LAYERS))
def test_a_rule_that_goes_wrong_refuses(
    images: tuple[Image, Image], monkeypatch: pytest.MonkeyPatch, error: Exception, layer: str
) -> None:
    def compare(_pair: Pair) -> Iterator[Difference]:
        raise error
        yield

    wrong = Rule("wrong", compare)
    monkeypatch.setitem(LAYERS, layer, (*LAYERS[layer], wrong))
    found = [it for it in judge(images[0], images[0]).findings if it.rule == JUDGING_FAILED]
    assert [it.weight for it in found] == [Weight.IMPOSSIBLE if layer == "ELF" else Weight.REFUSES]
    assert type(error).__name__ in found[0].text and "the rule wrong" in found[0].text and found[0].layer == layer


@pytest.mark.parametrize("function", ["data_references", "thread_local_references", "panic_mark"])
def test_what_relinking_cannot_know_makes_the_update_impossible(
    images: tuple[Image, Image], monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def fail(_image: Image) -> None:
        raise OverflowError("too large")

    monkeypatch.setattr(sys.modules["liveso.verdict.analysis"], function, fail)
    for policy in Policy:
        found = analyse_pair(images[0], images[0], NOWHERE, policy, DebugSource(folders=()))
        assert Weight.IMPOSSIBLE in {it.weight for it in found.verdict.refusals(None)}


def _variables(_part: object) -> None:
    raise MemoryError


@pytest.mark.parametrize(
    ("part", "name"), [(LocatedVariables, "shared"), (BothCodes, "matching"), (BothCodes, "references")]
)
def test_facts_that_cannot_be_found_out_refuse(
    images: tuple[Image, Image], monkeypatch: pytest.MonkeyPatch, part: type, name: str
) -> None:
    monkeypatch.setattr(part, name, property(_variables))
    verdict = judge(*images)
    assert Weight.IMPOSSIBLE in {it.weight for it in verdict.findings if "MemoryError" in it.text}


def test_a_judgement_that_failed_is_not_kept(
    images: tuple[Image, Image], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept, source = KeptVerdicts(tmp_path / "verdicts"), DebugSource(folders=())
    with monkeypatch.context() as patch:
        patch.setattr(BothCodes, "references", property(_variables))
        assert kept.judge(images[0], images[0], Policy.STRICT, source).refusals(None)
    assert not kept.judge(images[0], images[0], Policy.STRICT, source).refusals(None)


def test_names_out_of_files_are_shown_without_control_characters(images: tuple[Image, Image], tmp_path: Path) -> None:
    old = images[0]
    renamed = tuple(replace(it, name="\x1b[2J\n" if it.name == "level" else it.name) for it in old.symbols)
    for pair in ((replace(old, symbols=renamed), old), (replace(old, soname="a\nb"), old)):
        texts = [it.text for it in judge(*pair).findings]
        assert texts and all(it.isprintable() for it in texts) and any("\\n" in it for it in texts)
