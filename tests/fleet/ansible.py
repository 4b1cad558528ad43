"""Ansible on this machine as the controller, in an environment of its own, which is made once."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.locks import locked
from tests.fleet.machines import SSH_OPTIONS, Machine

_COLLECTION = Path(__file__).parents[2] / "packaging" / "ansible"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liveso-tests"
_CORE = "2.19"
_LONGEST = 600  # seconds


def installed() -> Path:
    """The folder of Ansible's commands."""
    folder = _CACHE / f"ansible-core-{_CORE}"
    done = folder / "complete"  # it cannot be made elsewhere and moved: its scripts have its path in them
    with locked(folder):
        if not done.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, f"ansible-core=={_CORE}.*"], check=True)
            done.touch()
    return folder / "bin"


class Ansible:
    def __init__(self, folder: Path, machines: Sequence[Machine]) -> None:
        self._folder, self._commands = folder, installed()
        self._machines = {it.name: it for it in machines}
        space = folder / "collections/ansible_collections/liveso"
        space.mkdir(parents=True)
        (space / "liveso").symlink_to(_COLLECTION)
        self._inventory = folder / "inventory.json"
        hosts = {it.name: {"ansible_port": it.port} for it in machines}
        common = {
            "ansible_host": "127.0.0.1",
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(machines[0].key) if machines else "",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        self._inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))
        self._environment = {
            "PATH": f"{self._commands}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_SSH_ARGS": " ".join([*SSH_OPTIONS, "-o", "ControlMaster=no"]),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        }

    def command(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._commands / name, *arguments],
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LONGEST,
        )

    def playbook(self, name: str, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        return self.command("ansible-playbook", "-i", str(self._inventory), name, "-e", json.dumps(variables), *options)

    def role(self, hosts: str, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        play = [{"hosts": hosts, "gather_facts": False, "roles": ["liveso.liveso.liveso"], "vars": variables}]
        file = self._folder / "role.json.yml"
        file.write_text(json.dumps(play))
        return self.playbook(str(file), *options)

    def module(self, host: str, name: str, *flags: str, **options: Any) -> dict[str, Any]:
        """What a module answers on one machine."""
        arguments = ["-i", str(self._inventory), "-m", f"liveso.liveso.{name}", *flags]
        arguments += ["-a", json.dumps(options)] if options else []
        done = self.command("ansible", host, *arguments)
        # "m1 | SUCCESS => {…}", after warnings and the text of a diff
        found = re.search(rf"^{host} \| ([A-Z]+)!? => (\{{.*)", done.stdout, re.M | re.S)
        assert found and "Traceback" not in done.stdout, done.stdout
        answer, _end = json.JSONDecoder().raw_decode(found[2])
        return {**answer, "failed": found[1] == "FAILED"}


def changes(output: str) -> dict[str, int]:
    """How many tasks have changed something, by machine (PLAY RECAP)."""
    return {name: int(count) for name, count in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", output, re.M)}
