"""What several tests need is made once in a run, also where its workers run side by side."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the only right to make `path`, among all processes that run tests."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def made_once(path: Path, make: Callable[[Path], object]) -> Path:
    """`path`, which `make` makes where it is not there: at another place, and complete when it comes to its own."""
    with locked(path):
        if not path.exists():
            partial = path.with_name(f".{path.name}.partial")
            if partial.is_dir():
                shutil.rmtree(partial)
            make(partial)
            os.rename(partial, path)
    return path
