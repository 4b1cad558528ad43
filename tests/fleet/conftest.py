"""Four machines of two releases with liveso, from the role, and with services whose library a repository upgrades."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.ansible import Ansible
from tests.fleet.image import image
from tests.fleet.machines import Machine, boot, remove
from tests.fleet.repository import PACKAGE, SONAME, Repository
from tests.harness import wait_until

_TREE = Path(__file__).parents[2]
RELEASES = {"m1": "bookworm", "m2": "trixie", "m3": "bookworm", "m4": "trixie"}


def package() -> Path:
    """liveso's package (`make deb`)."""
    if named := os.environ.get("LIVESO_DEB"):
        return Path(named)
    made = sorted(_TREE.glob("dist/liveso_*.deb"), key=lambda it: it.stat().st_mtime)
    assert made, "run `make deb` first"
    return made[-1]


@dataclass(frozen=True, slots=True)
class Fleet:
    machines: dict[str, Machine]
    repository: Repository
    ansible: Ansible
    package: Path

    def says(self, name: str, service: str = "greeter") -> str:
        """What a service says at this moment."""
        return self.machines[name].run(f"cat /run/{service}").strip()

    def pid(self, name: str, service: str = "greeter") -> int:
        return int(self.machines[name].run(f"systemctl show --property MainPID --value {service}"))

    def install_on(self, hosts: str, *options: str, **variables: Any) -> str:
        """Run the role, as an operator who has a repository; what Ansible says."""
        done = self.ansible.role(hosts, *options, **{**self.of_repository, **variables})
        assert done.returncode == 0, done.stdout
        return done.stdout

    @property
    def of_repository(self) -> dict[str, str]:
        """The role's variables for the repository."""
        return {"liveso_apt_repository": self.repository.line, "liveso_apt_key": str(self.repository.key)}

    def level(self) -> str:
        """Bring a version that suits everybody to all machines; what it says."""
        said = self.repository.publish()
        done = self.ansible.playbook(
            "liveso.liveso.canary", liveso_fleet_canaries="all", liveso_fleet_packages=[PACKAGE], liveso_fleet_quiet=0
        )
        assert done.returncode == 0, done.stdout
        assert {self.says(it) for it in self.machines} == {said}
        return said


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    repository = Repository(folder)
    shutil.copy(package(), repository.folder)
    repository.index()
    machines: dict[str, Machine] = {}
    try:
        files = repository.first()
        for name, release in RELEASES.items():
            machines[name] = boot(name, image(release), folder, files)
        for it in machines.values():
            wait_until(it.is_up, lambda it=it: it.attempt("systemctl status").stderr)  # type: ignore[misc]
            it.run(f"dpkg -i /srv/{PACKAGE}.deb && systemctl enable --now greeter.service")
        fleet = Fleet(machines, repository, Ansible(folder, list(machines.values())), package())
        fleet.install_on("m1:m2:m3")
        # the last one has it from a file, and what it depends on is there
        fleet.install_on("m4", liveso_deb=str(fleet.package))
        for it in machines.values():
            wait_until(lambda it=it: SONAME in it.run("liveso status"), f"{it.name} serves")  # type: ignore[misc]
        yield fleet
    finally:
        for it in machines.values():
            it.end()
            remove(folder / it.name)
        repository.close()
