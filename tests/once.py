"""What several tests need is made once in a run, also where its workers run side by side."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from bench.locks import locked


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
