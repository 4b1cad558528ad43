"""The role, over ssh, on machines with a real systemd."""

import os
import tomllib

import pytest

from liveso.settings import VARIABLES
from tests.fleet.ansible import changes
from tests.fleet.conftest import Fleet

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
