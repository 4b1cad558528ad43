"""The Ansible collection, without Ansible: what it documents is what it takes, and what its modules work out."""

import ast
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from liveso.settings import VARIABLES

_COLLECTION = Path(__file__).parents[2] / "packaging" / "ansible"
_MODULES = sorted((_COLLECTION / "plugins/modules").glob("*.py"))
_YAML = sorted(it for it in _COLLECTION.rglob("*.yml"))


@pytest.fixture(scope="module")
def utils() -> Any:
    """Gives a file of plugins/module_utils: they need nothing of Ansible's."""
    folder = str(_COLLECTION / "plugins")
    sys.path.insert(0, folder)
    try:
        yield lambda name: import_module(f"module_utils.{name}")
    finally:
        sys.path.remove(folder)
        for name in [it for it in sys.modules if it.partition(".")[0] == "module_utils"]:
            del sys.modules[name]


def constants(file: Path) -> dict[str, Any]:
    """The names that a file gives to what stands in it literally."""
    found = {}
    for it in ast.walk(ast.parse(file.read_text())):
        targets = it.targets if isinstance(it, ast.Assign) else [it.target] if isinstance(it, ast.AnnAssign) else []
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(it, ast.Assign | ast.AnnAssign) and it.value:
                try:
                    found[target.id] = ast.literal_eval(it.value)
                except ValueError:
                    continue
    return found


def taken(option: dict[str, Any]) -> dict[str, Any]:
    """What of an option both its documentation and its specification say."""
    return {name: option[name] for name in ("type", "elements", "choices", "default", "required") if name in option}


@pytest.mark.parametrize("file", _YAML, ids=lambda it: str(it.relative_to(_COLLECTION)))
def test_each_file_is_yaml(file: Path) -> None:
    assert yaml.safe_load(file.read_text())


@pytest.mark.parametrize("file", _MODULES, ids=lambda it: it.stem)
def test_a_module_takes_what_it_documents(file: Path) -> None:
    known = constants(file)
    documented = yaml.safe_load(known["DOCUMENTATION"])
    common = constants(_COLLECTION / "plugins/doc_fragments/common.py")["DOCUMENTATION"]
    assert documented["module"] == file.stem and "liveso.liveso.common" in documented["extends_documentation_fragment"]
    assert {name: taken(it) for name, it in documented["options"].items()} == known["ARGUMENTS"]
    assert {name: taken(it) for name, it in yaml.safe_load(common)["options"].items()} == constants(
        _COLLECTION / "plugins/module_utils/liveso.py"
    )["COMMON"]


@pytest.mark.parametrize("file", _MODULES, ids=lambda it: it.stem)
def test_examples_name_options_that_there_are_and_each_result_is_explained(file: Path) -> None:
    known = constants(file)
    for task in yaml.safe_load(known["EXAMPLES"]):
        options = task.get(f"liveso.liveso.{file.stem}") or {}
        assert options.keys() <= known["ARGUMENTS"].keys()
    returned = yaml.safe_load(known["RETURN"])
    assert all({"description", "returned", "type"} <= it.keys() for it in returned.values())


def test_each_setting_has_a_variable_and_comes_into_the_file() -> None:
    role = _COLLECTION / "roles/liveso"
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    written = re.findall(r"\('(\w+)', liveso_(\w+)\)", (role / "templates/liveso.toml.j2").read_text())
    assert written == [(name, name) for name, _same in written]
    assert {name for name, _same in written} == VARIABLES.keys()
    assert {f"liveso_{name}" for name in VARIABLES} <= defaults.keys()


@pytest.mark.parametrize("role", ["liveso", "rollout"])
def test_each_variable_of_a_role_is_specified_and_documented_with_its_default(role: str) -> None:
    folder = _COLLECTION / "roles" / role
    defaults = yaml.safe_load((folder / "defaults/main.yml").read_text())
    options = yaml.safe_load((folder / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert {name: options[name].get("default") for name in options} == defaults
    manual = (_COLLECTION.parents[1] / "docs/fleet.md").read_text()
    settings = {f"liveso_{name}" for name in VARIABLES}
    assert [it for it in defaults if f"`{it}`" not in manual and it not in settings] == []


@pytest.mark.parametrize("file", sorted(_COLLECTION.rglob("*.py")), ids=lambda it: it.stem)
def test_what_runs_on_the_machines_is_python_3_9(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=(3, 9))
    assert "from __future__ import annotations" in file.read_text()


def entry(pid: int = 1, path: str = "/lib/libx.so.1", **facts: Any) -> dict[str, Any]:
    known = {
        "service": "x.service", "units": ["x.service"], "pid": pid, "command": "/usr/bin/x -d", "path": path,
        "version": "old", "build_id": "b0", "result": "updated", "reason": "", "changed": 5.0, "in_force": True,
        "waits_for": [], "rolled_back_over": "",
    }  # fmt: skip
    return {**known, **facts}


def test_a_process_is_known_by_its_container_its_unit_or_its_command(utils: Any) -> None:
    service_of = utils("status").service_of
    assert service_of({"container": "web", "units": ["docker.service"], "command": "x"}) == "web"
    assert service_of({"units": ["user@1000.service", "app.scope"], "command": "x"}) == "app.scope"
    assert service_of({"units": ["a.service", "b.service"]}) == "b.service"
    assert service_of({"units": [], "command": "/usr/bin/x -d"}) == "x"


@pytest.mark.parametrize(
    ("facts", "events", "expected"),
    [
        ({"version": "new"}, [], "in"),
        ({}, [], "pending"),
        ({"rolled_back_over": "new", "result": "rolled back"}, [], "taken back"),
        ({"rolled_back_over": "older", "result": "rolled back"}, [], "pending"),
        ({"result": "refused", "changed": 20.0}, [], "trouble"),
        ({"result": "refused", "changed": 5.0}, [], "pending"),
        ({"result": "refused"}, [{"kind": "refused", "after": "new", "pids": [1]}], "trouble"),
        ({"result": "refused"}, [{"kind": "refused", "after": "new", "pids": [2]}], "pending"),
        ({"result": "refused"}, [{"kind": "refused", "after": "other", "pids": [1]}], "pending"),
        ({"result": "held back"}, [{"kind": "crash-after-update", "after": "new", "pids": [2]}], "trouble"),
        ({"result": "held back"}, [], "pending"),
        ({"result": "held back", "waits_for": ["/lib/liby.so.1"]}, [], "trouble"),
        ({"result": "held back", "waits_for": ["/lib/libz.so.1"]}, [], "pending"),
    ],
)
def test_what_became_of_a_version(utils: Any, facts: dict[str, Any], events: list[Any], expected: str) -> None:
    others = [entry(path="/lib/liby.so.1", result="refused"), entry(path="/lib/libz.so.1", result="updated")]
    told = [{**it, "library": "/lib/libx.so.1"} for it in events]
    assert utils("status").became(entry(**facts), "new", others, told, since=10.0) == expected


def test_the_way_back_names_processes_only_where_they_came_from_different_versions(utils: Any) -> None:
    status = utils("status")
    before = [entry(1), entry(2), entry(1, "/lib/liby.so.1"), entry(2, "/lib/liby.so.1", version="older")]
    after = [{**it, "version": "new"} for it in before] + [entry(3, version="new")]
    assert status.way_back(status.went_in(before, after)) == [
        {"library": "/lib/libx.so.1", "version": "old", "targets": []},
        {"library": "/lib/liby.so.1", "version": "old", "targets": [1]},
        {"library": "/lib/liby.so.1", "version": "older", "targets": [2]},
    ]
    assert status.went_in(before, before) == []


def test_processes_are_chosen_by_number_unit_or_command(utils: Any) -> None:
    chosen = utils("status").chosen
    both = [entry(1), entry(2, units=["y.service"], command="y")]
    assert [it["pid"] for it in chosen(both, [], [], [])] == [1, 2]
    assert [it["pid"] for it in chosen(both, [2], [], [])] == [2]
    assert [it["pid"] for it in chosen(both, [], ["x"], [])] == [1]
    assert [it["pid"] for it in chosen(both, [], [], ["/usr/bin/x"])] == [1]
    assert [it["pid"] for it in chosen(both, [], [], ["x", "y"])] == [1, 2]
    assert chosen(both, [], ["z"], []) == []


def test_what_apt_would_do_is_read(utils: Any) -> None:
    said = (
        "Inst libssl3 [3.0.17-1~deb12u2] (3.0.20-1~deb12u2 Debian-Security:12/stable-security [amd64])\n"
        "Inst linux-image-6.1 (6.1.5 Debian:12 [amd64])\nConf libssl3 (3.0.20-1~deb12u2 Debian [amd64])\n"
    )
    assert utils("apt").planned(said) == [
        {"name": "libssl3", "before": "3.0.17-1~deb12u2", "after": "3.0.20-1~deb12u2"},
        {"name": "linux-image-6.1", "before": "", "after": "6.1.5"},
    ]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("ActiveState=active\nNRestarts=0\nExecMainStartTimestampMonotonic=95000000", ""),
        ("ActiveState=active\nNRestarts=1\nExecMainStartTimestampMonotonic=80000000", ""),
        ("ActiveState=active\nNRestarts=1\nExecMainStartTimestampMonotonic=95000000", "systemd started it again"),
        ("ActiveState=failed\nResult=core-dump", "x.service: it is failed (core-dump)"),
        ("ActiveState=inactive\nResult=success", "x.service: it is inactive"),
        ("", "x.service: it is unknown"),
    ],
)
def test_a_unit_is_quiet_where_it_is_active_and_was_not_started_again(utils: Any, shown: str, expected: str) -> None:
    found = utils("quiet").judged("x.service", shown, ago=10.0, now=100.0)
    assert found.endswith(expected) and bool(found) == bool(expected)


def test_more_refusals_than_allowed_and_each_crash_are_trouble(utils: Any) -> None:
    trouble = utils("quiet").trouble_in_history
    refusal = {"kind": "refused", "library": "/lib/libx.so.1", "pids": [7], "units": ["x.service"], "reason": "no"}
    assert trouble([refusal], 0) == "libx.so.1: refused in x.service (pid 7): no"
    assert trouble([refusal, refusal], 1) == "" and trouble([refusal], -1) == ""
    assert trouble([refusal, {**refusal, "pids": [8]}], 1).count("refused in") == 2
    crash = {**refusal, "kind": "crash-after-update", "reason": "SIGABRT"}
    assert trouble([crash], -1) == "libx.so.1: x.service (pid 7) crashed after the update: SIGABRT"
    assert trouble([{**refusal, "kind": "updated"}], 0) == ""


def answers(liveso: ModuleType, script: str, folder: Path) -> Any:
    command = folder / "liveso"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    return liveso.Liveso(str(command), 20.0, str)


@pytest.mark.parametrize(
    ("script", "error", "text"),
    [
        ("echo 'liveso: nobody is there' >&2; exit 4", "NoDaemon", "`systemctl start liveso` (nobody is there)"),
        ("echo \"liveso: No such command 'x'.\" >&2; exit 2", "Unavailable", "too old for `liveso status`"),
        ("echo 'liveso: a fault' >&2; exit 70", "Trouble", "failed: a fault"),
        ("kill -9 $$", "Trouble", "it ended with exit code -9"),
        ("echo '{'", "Trouble", "--json`: {"),
    ],
)
def test_what_the_command_says_becomes_a_sentence(
    utils: Any, tmp_path: Path, script: str, error: str, text: str
) -> None:
    liveso = utils("liveso")
    with pytest.raises(getattr(liveso, error), match=re.escape(text)):
        answers(liveso, script, tmp_path).status()


def test_a_command_that_does_not_end_is_not_waited_for(utils: Any, tmp_path: Path) -> None:
    liveso = utils("liveso")
    slow = answers(liveso, "exec sleep 1000", tmp_path)
    with pytest.raises(liveso.Trouble, match="has not ended within 0 s"):
        slow.json("status", limit=0.1)
