#!/usr/bin/python
# Copyright: the authors of liveso
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

DOCUMENTATION = r"""
module: liveso_quiet
short_description: Wait until nothing has gone wrong for a while after an update
version_added: "0.1.0"
description:
  - Looks at a machine for some seconds, and fails as soon as a process crashes after an update, more is refused than is
    allowed, a service is not active or was started again by systemd, or a check fails.
  - In check mode nothing is waited for.
options:
  seconds:
    description: For so long nothing may go wrong.
    type: int
    default: 60
  since:
    description: What happened since then counts, in seconds since 1970, as liveso_rollout returns it in C(started);
      V(0) is when this begins.
    type: float
    default: 0
  refusals_allowed:
    description: So many libraries of processes may be refused or fail meanwhile; V(-1) allows any number.
    type: int
    default: 0
  units:
    description: Systemd services that must be active, and not be started again by systemd.
    type: list
    elements: str
    default: []
  checks:
    description: Command lines for C(sh -c) that must succeed at each look, such as a question to a service.
    type: list
    elements: str
    default: []
  interval:
    description: Seconds between two looks.
    type: float
    default: 1
extends_documentation_fragment:
  - liveso.liveso.common
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: linux
"""

EXAMPLES = r"""
- name: Nothing may go wrong for two minutes
  liveso.liveso.liveso_quiet:
    seconds: 120
    since: "{{ rollout.started }}"
    units: [nginx.service]
    checks: [curl --fail --silent --max-time 5 http://localhost/]
"""

RETURN = r"""
looks:
  description: How often it was looked.
  returned: always
  type: int
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.liveso.liveso.plugins.module_utils.liveso import COMMON, Trouble, answer, liveso_of
from ansible_collections.liveso.liveso.plugins.module_utils.quiet import (
    trouble_in_history,
    trouble_of_check,
    trouble_of_unit,
)

ARGUMENTS = {
    "seconds": {"type": "int", "default": 60},
    "since": {"type": "float", "default": 0},
    "refusals_allowed": {"type": "int", "default": 0},
    "units": {"type": "list", "elements": "str", "default": []},
    "checks": {"type": "list", "elements": "str", "default": []},
    "interval": {"type": "float", "default": 1},
}


def work(module: AnsibleModule) -> dict[str, Any]:
    options, liveso = module.params, liveso_of(module)
    if module.check_mode:
        return {"changed": False, "looks": 0}
    since = options["since"] or time.time()
    end, looks = time.monotonic() + options["seconds"], 0
    while True:
        liveso.status()  # a daemon that has ended is no quiet
        found = trouble_in_history(liveso.history(since), options["refusals_allowed"])
        for unit in options["units"]:
            found = found or trouble_of_unit(unit, since, options["command_timeout"])
        for check in options["checks"]:
            found = found or trouble_of_check(check, options["command_timeout"])
        looks += 1
        if found:
            raise Trouble(found, looks=looks)
        if time.monotonic() >= end:
            return {"changed": False, "looks": looks}
        time.sleep(max(0.1, options["interval"]))


def main() -> None:
    answer(AnsibleModule(argument_spec={**COMMON, **ARGUMENTS}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
