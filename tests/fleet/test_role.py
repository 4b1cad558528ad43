"""The role, over ssh, on machines with a real systemd."""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from liveso.settings import VARIABLES
from tests.fleet.ansible import changes
from tests.fleet.conftest import Fleet
from tests.fleet.repository import KEYRING, SONAME, new_key
from tests.harness import wait_until

pytestmark = [
    pytest.mark.skipif("LIVESO_FLEET" not in os.environ, reason="make test-fleet"),
    pytest.mark.timeout(1800),
]
_ALL = {
    "socket": "/run/liveso/liveso.sock",
    "store": "/var/cache/liveso",
    "ignore": ["libnothing.so*", 'a "quoted" name'],
    "only": ["lib*"],
    "loglevel": 1,
    "settle": 30,
    "policy": "strict",
    "package_locks": "/var/lib/dpkg/lock-frontend:/var/lib/dpkg/lock",
    "overwrite": "protect",
    "linger": 31,
    "switch": "now",
    "canary": 0,
    "allow": ["unit=*.service"],
    "deny": ["command=*/none"],
    "history": "/var/lib/liveso",
    "history_days": 30,
    "history_size": 8,
    "metrics": "",
    "notify": "/bin/cat --show-all",
    "notify_on": ["refused", "failed"],
}
_OF_LIVESO = (
    *("/usr/bin/liveso", "/usr/lib/liveso", "/etc/liveso", "/var/lib/liveso", "/var/cache/liveso", "/run/liveso"),
    *("/etc/systemd/system/liveso.service.d", "/etc/systemd/system/multi-user.target.wants/liveso.service"),
    *("/var/cache/liveso-package", "/etc/apt/sources.list.d/liveso.list", KEYRING),
)


def daemon(fleet: Fleet, name: str) -> str:
    return fleet.machines[name].run("systemctl show --property MainPID --value liveso").strip()


def test_a_second_run_changes_nothing(fleet: Fleet) -> None:
    before = daemon(fleet, "m1")
    fleet.install_on("all")  # m4 has its package from a file
    assert changes(fleet.install_on("all")) == dict.fromkeys(fleet.machines, 0)
    assert daemon(fleet, "m1") == before


def test_each_setting_comes_to_the_daemon_and_the_service_restarts_once(fleet: Fleet) -> None:
    assert _ALL.keys() == VARIABLES.keys()
    before, settings = daemon(fleet, "m1"), {f"liveso_{name}": value for name, value in _ALL.items()}
    settings["liveso_environment"] = {"LIVE_SETTLE": "40", "NOTED": 'per cent % and "quotes"'}
    foreseen = fleet.install_on("m1", "--check", "--diff", **settings)
    assert '+ignore = ["libnothing.so*", "a \\"quoted\\" name"]' in foreseen
    assert daemon(fleet, "m1") == before
    fleet.install_on("m1", **settings)
    after = daemon(fleet, "m1")
    assert after != before
    assert tomllib.loads(fleet.machines["m1"].run("cat /etc/liveso/liveso.toml")) == _ALL
    environment = fleet.machines["m1"].run(f"tr '\\0' '\\n' </proc/{after}/environ").splitlines()
    assert {"LIVE_SETTLE=40", 'NOTED=per cent % and "quotes"'} <= set(environment)
    assert changes(fleet.install_on("m1", **settings)) == {"m1": 0}
    assert daemon(fleet, "m1") == after
    fleet.install_on("m1")
    assert tomllib.loads(fleet.machines["m1"].run("cat /etc/liveso/liveso.toml")) == {}


def test_a_wrong_setting_leaves_file_and_daemon_as_they_are(fleet: Fleet) -> None:
    before = daemon(fleet, "m1"), fleet.machines["m1"].run("cat /etc/liveso/liveso.toml")
    done = fleet.ansible.role("m1", liveso_deny=["whoever"])
    assert done.returncode != 0
    assert "names no processes: write unit=, command=, user= or container=" in done.stdout
    assert (daemon(fleet, "m1"), fleet.machines["m1"].run("cat /etc/liveso/liveso.toml")) == before


def there(fleet: Fleet, name: str) -> list[str]:
    """What of liveso's and of the role's lies on a machine."""
    command = f"for path in {' '.join(_OF_LIVESO)}; do [ ! -e $path ] || echo $path; done"
    return fleet.machines[name].run(command).split()


@pytest.fixture(params=["m3", "m4"])
def leaving(fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[str]:
    """A machine that may lose liveso, and has it again afterwards."""
    name: str = request.param
    yield name
    fleet.install_on(name)
    # a liveso that is new leaves alone what an earlier one has updated
    fleet.machines[name].run("systemctl restart greeter")
    wait_until(lambda: SONAME in fleet.machines[name].run("liveso status"), f"{name} serves")


def test_absent_leaves_nothing_behind_and_what_was_updated_runs_on(fleet: Fleet, leaving: str) -> None:
    fleet.install_on(leaving, liveso_deb=str(fleet.package), liveso_environment={"LIVE_SETTLE": "1"})
    fleet.level()
    said, pid = fleet.level(), fleet.pid(leaving)
    assert set(there(fleet, leaving)) == set(_OF_LIVESO)
    assert changes(fleet.install_on(leaving, "--check", liveso_state="absent"))[leaving] > 0
    assert set(there(fleet, leaving)) == set(_OF_LIVESO)
    fleet.install_on(leaving, liveso_state="absent")
    machine = fleet.machines[leaving]
    assert there(fleet, leaving) == []
    assert machine.run("systemctl show --property LoadState --value liveso").strip() == "not-found"
    commands = machine.attempt("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
    assert "systemd" in commands and "liveso daemon" not in commands
    assert machine.attempt("dpkg-query --status liveso").returncode != 0
    assert (fleet.says(leaving), fleet.pid(leaving)) == (said, pid)
    assert changes(fleet.install_on(leaving, liveso_state="absent")) == {leaving: 0}


def test_nothing_comes_from_a_repository_that_another_key_has_signed(
    fleet: Fleet, leaving: str, tmp_path: Path
) -> None:
    fleet.install_on(leaving, liveso_state="absent")
    fleet.machines[leaving].run("rm -rf /var/lib/apt/lists/*")
    wrong = {**fleet.of_repository, "liveso_apt_key": str(new_key(tmp_path, "stranger"))}
    assert fleet.ansible.role(leaving, **wrong).returncode != 0
    assert "/usr/bin/liveso" not in there(fleet, leaving)
    fleet.install_on(leaving)
    assert "/usr/bin/liveso" in there(fleet, leaving)
