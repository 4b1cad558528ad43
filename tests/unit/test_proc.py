"""What is read of a process in /proc."""

import os
import subprocess
from pathlib import Path

import pytest

from liveso.daemon.admission import process_to_visit
from liveso.errors import TargetGone
from liveso.process import Visited, proc
from liveso.process.descriptors import process_descriptor
from liveso.process.native import native_machine
from tests.harness import wait_until


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


def test_a_process_that_has_ended_meanwhile_is_gone_for_who_wants_to_hold_on_to_it() -> None:
    """PostgreSQL's processes end all the time: attaching them all together failed for one."""
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(TargetGone, match=f"process {process.pid} has ended"):
        process_descriptor(process.pid)
    with pytest.raises(TargetGone, match=f"process {process.pid} has ended"):
        Visited(process.pid, native_machine(), "/live.so", "/socket", meets_at_once=True)


def test_a_process_that_ends_just_now_has_ended_and_is_not_the_kernels() -> None:
    """Its memory goes before it does: PostgreSQL's processes were said to be the kernel's, in a list to be attached."""
    parent = subprocess.Popen(["sh", "-c", "true & exec sleep 1000"])  # which waits for nobody
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    pid = int(wait_until(lambda: children.read_text().strip(), "a child"))
    wait_until(lambda: proc.exit_status(pid) is not None, "its end")
    with pytest.raises(TargetGone, match="has ended"):
        process_to_visit(pid)
    assert not proc.is_of_kernel(pid)
    parent.kill()
    parent.wait()
