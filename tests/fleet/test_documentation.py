"""What Ansible itself shows of the collection."""

import os
from pathlib import Path

import pytest

from tests.fleet.ansible import Ansible

pytestmark = pytest.mark.skipif("LIVESO_FLEET" not in os.environ, reason="make test-fleet")
_MODULES = sorted(it.stem for it in (Path(__file__).parents[2] / "packaging/ansible/plugins/modules").glob("*.py"))


@pytest.fixture
def ansible(tmp_path: Path) -> Ansible:
    return Ansible(tmp_path, [])


@pytest.mark.parametrize("name", _MODULES)
def test_a_module_is_shown_with_its_common_options_and_without_a_warning(ansible: Ansible, name: str) -> None:
    shown = ansible.command("ansible-doc", "--type", "module", f"liveso.liveso.{name}")
    assert shown.returncode == 0 and "WARNING" not in shown.stdout, shown.stdout
    assert all(it in shown.stdout for it in ("EXAMPLES:", "RETURN VALUES:", "command_timeout", "check_mode:"))


@pytest.mark.parametrize("name", ["liveso", "rollout"])
def test_a_role_is_shown(ansible: Ansible, name: str) -> None:
    shown = ansible.command("ansible-doc", "--type", "role", f"liveso.liveso.{name}")
    assert (
        shown.returncode == 0 and "WARNING" not in shown.stdout and "ENTRY POINT: main" in shown.stdout.replace("*", "")
    )


def test_the_collection_can_be_built(ansible: Ansible, tmp_path: Path) -> None:
    source = tmp_path / "collections/ansible_collections/liveso/liveso"
    built = ansible.command(
        "ansible-galaxy", "collection", "build", str(source.resolve()), "--output-path", str(tmp_path)
    )
    assert built.returncode == 0, built.stdout
    assert [it.name for it in tmp_path.glob("*.tar.gz")] == ["liveso-liveso-0.1.0.tar.gz"]
