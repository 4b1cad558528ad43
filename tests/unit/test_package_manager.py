"""Which locks say that a package manager is at work."""

import fcntl
from pathlib import Path

from liveso.watch import holders


def is_at_work(locks: list[str]) -> bool:
    return bool(list(holders(locks)))


def test_only_a_write_lock_counts_which_not_everybody_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    assert not is_at_work([str(path), "/nowhere"])
    with path.open("rb") as reader:
        for kind in (fcntl.LOCK_EX, fcntl.LOCK_SH):
            fcntl.flock(reader, kind)
            assert not is_at_work([str(path)])
        fcntl.lockf(reader, fcntl.LOCK_SH)
        assert not is_at_work([str(path)])
    with path.open("r+b") as writer:
        fcntl.lockf(writer, fcntl.LOCK_EX)
        assert is_at_work([str(path)])
