"""What is read of a process in /proc."""

import os

import pytest

from liveso.process import proc


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], False),
        (["x86_Thread_features:\t", "x86_Thread_features_locked:\tshstk wrss "], False),
        (["x86_Thread_features:\tshstk wrss ", "x86_Thread_features_locked:\t"], True),
    ],
)
def test_a_shadow_stack_is_seen(monkeypatch: pytest.MonkeyPatch, lines: list[str], expected: bool) -> None:
    monkeypatch.setattr(proc, "status_lines", lambda pid, thread: ["Name:\tprogram", *lines])
    assert proc.has_shadow_stack(os.getpid(), os.getpid()) is expected
