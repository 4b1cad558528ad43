"""The trial of damaged files itself: it must notice what it is there for."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from liveso.elf import Image, read_image
from liveso.errors import ImageError
from tests.fuzz import __main__ as fuzz
from tests.fuzz.mutants import mutant
from tests.fuzz.trial import Failed, try_out
from tests.unit.images import compile_library


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return read_image(compile_library(tmp_path))


def _hang() -> bool:
    while True:
        pass


def _take_memory() -> bool:
    return bool(len(b"x" * (2 << 30)))


def _go_wrong() -> bool:
    raise OverflowError("too large")


def _end() -> bool:
    os._exit(7)


def test_what_goes_wrong_is_told_with_its_seed(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    ways: tuple[Callable[[], bool], ...] = (_hang, _take_memory, _go_wrong, _end, lambda: True, lambda: False)
    by_content = {Random(f"whole:{seed}").randbytes(8): way for seed, way in enumerate(ways)}
    monkeypatch.setattr(fuzz, "_LONGEST", 0.5)
    monkeypatch.setattr(fuzz, "mutant", lambda _image, chance: chance.randbytes(8))
    monkeypatch.setattr(fuzz, "try_out", lambda _image, damaged: by_content[damaged]())
    found = list(fuzz.run({"whole": image}, range(len(ways))))
    assert [it.seed for it in found] == list(range(len(ways)))
    assert [it.is_failure for it in found] == [True] * 4 + [False] * 2
    for it, says in zip(found, ("took more", "MemoryError", "OverflowError: too large", "exit code 7"), strict=False):
        assert says in it.outcome


def test_a_seed_makes_the_same_mutant(image: Image) -> None:
    made = [mutant(image, Random(f"whole:{seed}")) for seed in range(200)]
    assert made == [mutant(image, Random(f"whole:{seed}")) for seed in range(200)]
    assert len(set(made)) > 150


@pytest.mark.parametrize(
    "name",
    ["both_codes.BothCodes.references", *(f"located_variables.LocatedVariables.{it}" for it in ("evidence", "shared"))],
)
def test_a_judgement_that_failed_is_no_answer(image: Image, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fail(_pair: object) -> None:
        raise OverflowError("too large")

    assert try_out(image, image.content)
    monkeypatch.setattr(f"liveso.compare.{name}", property(fail))
    with pytest.raises(Failed, match="OverflowError"):
        try_out(image, image.content)


def test_a_message_that_cannot_be_shown_is_no_answer(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_content: bytes) -> None:
        raise ImageError("two\nlines")

    monkeypatch.setattr("tests.fuzz.trial.read_image", fail)
    with pytest.raises(Failed, match="cannot be shown"):
        try_out(image, image.content)
