"""`python -m liveso`: what its words are, and what the interpreter was told before."""

from pathlib import Path

import pytest

from liveso.cli.python import interpreter_options, is_program, note_of_script


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], False),
        (["script.py"], True),
        (["status"], False),
        (["./status"], True),
        (["-m", "status"], True),
        (["-mjson.tool"], True),
        (["-c", "pass"], True),
        (["-"], True),
        (["--help"], False),
        (["--version"], False),
    ],
)
def test_programs_are_told_from_commands(words: list[str], expected: bool) -> None:
    assert is_program(words, ("run", "status")) is expected


@pytest.mark.parametrize(
    ("words", "arguments", "expected"),
    [
        (["python", "-m", "liveso", "a.py", "x"], 2, []),
        (["python", "-u", "-X", "dev", "-m", "liveso", "a.py"], 1, ["-u", "-X", "dev"]),
        (["python", "-um", "liveso", "a.py"], 1, ["-u"]),
        (["python", "-I", "-mliveso", "-m", "liveso"], 2, ["-I"]),
        (["python", "-Bmliveso", "a.py"], 1, ["-B"]),
    ],
)
def test_the_interpreters_own_options_are_kept(words: list[str], arguments: int, expected: list[str]) -> None:
    assert interpreter_options(words, arguments) == expected


def test_a_script_that_is_called_as_a_command_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert note_of_script("status") == ""
    (tmp_path / "status").mkdir()
    assert note_of_script("status") == ""
    (tmp_path / "check").write_text("")
    assert "python -m liveso ./check" in note_of_script("check")
