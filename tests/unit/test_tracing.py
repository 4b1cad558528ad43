"""What is said where a thread may not be traced."""

import os
from pathlib import Path

import pytest

from liveso.holder import stops
from liveso.holder.problems import Problem


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("", r"not permitted\)$"),
        ("0\n", r"not permitted\)$"),
        ("1\n", "ptrace_scope=1 a user's daemon may only where it was there before the program$"),
        ("2\n", "ptrace_scope=2 only root's daemon may$"),
        ("3\n", "ptrace_scope=3 nobody may$"),
    ],
)
def test_the_kernels_restriction_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scope: str, expected: str
) -> None:
    file = tmp_path / "ptrace_scope"
    if scope:
        file.write_text(scope)
    monkeypatch.setattr(stops, "_YAMA", file)
    with pytest.raises(Problem, match=expected):
        stops.seize(os.getpid(), os.getpid())  # nobody may trace himself
