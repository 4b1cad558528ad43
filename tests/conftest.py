import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import EMULATED, Bench, agent_for, let_all_pass


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is `further`, but where LIVESO_CORPUS is "full"."""
    if os.environ.get("LIVESO_CORPUS") != "full":
        config.hook.pytest_deselected(items=[it for it in items if it.get_closest_marker("further")])
        items[:] = [it for it in items if not it.get_closest_marker("further")]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what the tests of all workers share in this run."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture
def bench(tmp_path: Path, shared: Path) -> Iterator[Bench]:
    """A folder with a daemon that runs."""
    bench = Bench(tmp_path, shared / "verdicts")
    bench.start_daemon()
    yield bench
    bench.close()


@pytest.fixture(params=EMULATED)
def emulated_bench(request: pytest.FixtureRequest, tmp_path: Path, shared: Path) -> Iterator[Bench]:
    """The same for programs of each machine that an emulator runs here."""
    machine = str(request.param)
    assert agent_for(machine).exists(), f"run `make agent MACHINE={machine}` first"
    bench = Bench(tmp_path, shared / "verdicts", machine=machine)
    bench.start_daemon()
    yield bench
    bench.close()


@pytest.fixture
def idle_bench(tmp_path: Path, shared: Path) -> Iterator[Bench]:
    """A folder without a daemon."""
    bench = Bench(tmp_path, shared / "verdicts")
    yield bench
    bench.close()


@pytest.fixture
def common(tmp_path: Path) -> Path:
    """A folder for everybody, as /tmp is, on a way that all may go."""
    let_all_pass(tmp_path)
    common = tmp_path / "tmp"
    common.mkdir()
    common.chmod(0o1777)
    return common
