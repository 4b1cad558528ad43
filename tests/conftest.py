from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A folder with a daemon that runs."""
    bench = Bench(tmp_path)
    bench.start_daemon()
    yield bench
    bench.close()


@pytest.fixture
def idle_bench(tmp_path: Path) -> Iterator[Bench]:
    """A folder without a daemon."""
    bench = Bench(tmp_path)
    yield bench
    bench.close()
