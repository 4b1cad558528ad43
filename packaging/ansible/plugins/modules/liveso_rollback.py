#!/usr/bin/python
# Copyright: the authors of liveso
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

DOCUMENTATION = r"""
module: liveso_rollback
short_description: Take a library in memory back to a version that it had, or let it go forward again
version_added: "0.1.0"
description:
  - Takes a library back in the processes that run, and in those to come, whatever lies on disk; or lets it run again
    what lies there.
options:
  library:
    description: Its path or file name.
    type: str
    required: true
  state:
    description: V(rolled_back) takes it back; V(resumed) lets it go forward, also one that is held back after a crash.
    type: str
    choices: [rolled_back, resumed]
    default: rolled_back
  version:
    description:
      - The beginning of a SHA-256 or build ID, of at least 6 digits.
      - Without it, it is the version before the one that runs; where the library is rolled back already, nothing
        changes.
    type: str
    default: ""
  targets:
    description: Numbers of processes; only in these.
    type: list
    elements: int
    default: []
  units:
    description: Only in the processes of these systemd units.
    type: list
    elements: str
    default: []
  commands:
    description: Only in the processes that run these commands.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait for its end.
    type: int
    default: 60
extends_documentation_fragment:
  - liveso.liveso.common
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: linux
"""

EXAMPLES = r"""
- name: Back to the version before, everywhere on this machine
  liveso.liveso.liveso_rollback:
    library: libxml2.so.2

- name: Forward again
  liveso.liveso.liveso_rollback:
    library: libxml2.so.2
    state: resumed
"""

RETURN = r"""
results:
  description: The library by service, as it is now, or would be looked at in check mode, with C(service), C(library),
    C(result), C(reason), C(version), C(build_id), C(in_force) and C(pids).
  returned: always
  type: list
  elements: dict
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.liveso.liveso.plugins.module_utils.liveso import COMMON, Trouble, answer, liveso_of
from ansible_collections.liveso.liveso.plugins.module_utils.status import (
    Entry,
    as_text,
    by_service,
    chosen,
    entries,
    is_named,
    is_version,
)

ARGUMENTS = {
    "library": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["rolled_back", "resumed"], "default": "rolled_back"},
    "version": {"type": "str", "default": ""},
    "targets": {"type": "list", "elements": "int", "default": []},
    "units": {"type": "list", "elements": "str", "default": []},
    "commands": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 60},
}
_PAUSE = 0.5  # seconds between two looks
_ANSWER_IS_NO = 1


def is_there(entry: Entry, state: str, version: str) -> bool:
    """Whether nothing is to be done in one process."""
    if state == "resumed":
        # what waits for a library that it needs is not held back by a crash, and nobody lets it go on by this
        return entry["result"] != "rolled back" and (entry["result"] != "held back" or bool(entry["waits_for"]))
    return is_version(entry, version) if version else entry["result"] == "rolled back"


def work(module: AnsibleModule) -> dict[str, Any]:
    options, liveso = module.params, liveso_of(module)
    library, state, version = options["library"], options["state"], options["version"].lower()
    some = options["targets"], options["units"], options["commands"]

    def look() -> list[Entry]:
        return chosen([it for it in entries(liveso.status()) if is_named(it, library)], *some)

    before = look()
    if not before and state == "rolled_back":
        raise Trouble(f"{library}: no process that is served has it" + " among those that are named" * any(some))
    to_do = [it for it in before if not is_there(it, state, version)]
    if not to_do:
        return {"changed": False, "results": by_service(before), "msg": f"{library}: nothing is to be done"}
    lines = as_text(by_service(before))
    if module.check_mode:
        word = f"rolled back {version[:12]}".strip() if state == "rolled_back" else "what lies on disk"
        would = "".join(f"{it['service']} {it['path']} {word}\n" for it in to_do)
        return {"changed": True, "results": by_service(before), "diff": {"before": lines, "after": would}}
    arguments = (
        ["rollback", library, *([version] if version else [])] if state == "rolled_back" else ["resume", library]
    )
    for option, values in zip(("--target", "--unit", "--command"), some):
        arguments += [word for it in values for word in (option, str(it))]
    ran = liveso.call(*arguments, limit=max(options["timeout"], options["command_timeout"]))
    after = look()
    end = time.monotonic() + options["timeout"]
    while ran.code == 0 and not all(is_there(it, state, version) for it in after) and time.monotonic() < end:
        time.sleep(_PAUSE)
        after = look()
    result = {
        "changed": _running(before) != _running(after),
        "results": by_service(after),
        "diff": {"before": lines, "after": as_text(by_service(after))},
    }
    if ran.code not in (0, _ANSWER_IS_NO) or (ran.code and state == "rolled_back"):
        raise Trouble(ran.said, **result)
    if ran.code == 0 and not all(is_there(it, state, version) for it in after):
        raise Trouble(f"{library}: not done in all processes within {options['timeout']} s", **result)
    return {**result, "msg": ran.output.strip() or ran.said}


def _running(found: list[Entry]) -> list[tuple[Any, ...]]:
    return sorted((it["pid"], it["path"], it["version"], it["result"]) for it in found)


def main() -> None:
    answer(AnsibleModule(argument_spec={**COMMON, **ARGUMENTS}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
