#!/usr/bin/python
# Copyright: the authors of liveso
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

DOCUMENTATION = r"""
module: liveso_restart
short_description: Restart the services that run old code
version_added: "0.1.0"
description:
  - Restarts or reloads what C(liveso restart-needed) names, one service after the other, and stops at the first that
    does not come up.
  - It needs a liveso that has C(restart-needed) and C(restart). A daemon need not run.
options:
  units:
    description: Only these, of those that need it.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds that all of it may take.
    type: int
    default: 600
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
- name: Restart what runs old code
  liveso.liveso.liveso_restart:

- name: Which services would be restarted
  liveso.liveso.liveso_restart:
  check_mode: true
  register: would
"""

RETURN = r"""
restarted:
  description: The services that were restarted or reloaded, or would be.
  returned: always
  type: list
  elements: str
left:
  description: What still needs a person, a restart or a reboot, as in C(needed) of C(liveso restart-needed --json).
  returned: always
  type: list
  elements: dict
lines:
  description: What C(liveso restart) has said.
  returned: not in check mode
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.liveso.liveso.plugins.module_utils.liveso import COMMON, Trouble, answer, liveso_of

ARGUMENTS = {
    "units": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 600},
}
_WAYS = ("reload", "restart", "re-execute")
"""What `liveso restart` does; the rest is for people."""


def to_restart(needed: list[dict[str, Any]], units: list[str]) -> list[str]:
    """The names of what would be restarted, of what is needed."""
    names = [it if it.endswith((".service", ".scope")) else f"{it}.service" for it in units]
    return [
        it["name"] for it in needed if it.get("mend", {}).get("way") in _WAYS and (not names or it.get("name") in names)
    ]


def work(module: AnsibleModule) -> dict[str, Any]:
    liveso, units, limit = liveso_of(module), module.params["units"], module.params["timeout"]
    needed = liveso.json("restart-needed")["needed"]
    wanted = to_restart(needed, units)
    lines = "".join(f"{it['name']}: {it.get('mend', {}).get('text', '')}\n" for it in needed)
    if not wanted or module.check_mode:
        left = [it for it in needed if it["name"] not in wanted]
        after = "".join(f"{it['name']}: {it.get('mend', {}).get('text', '')}\n" for it in left)
        return {
            "changed": bool(wanted),
            "restarted": wanted,
            "left": left,
            "diff": {"before": lines, "after": after},
        }
    # of those that are named, only what needs it: another one would be an error
    named = [word for it in wanted for word in ("--units", it)] if units else []
    ran = liveso.call("restart", "--yes", *named, limit=limit)
    left = liveso.json("restart-needed")["needed"]
    still = [it["name"] for it in left]
    said = [line.strip() for line in ran.output.splitlines() if line.strip()]
    result = {
        "restarted": [it for it in wanted if it not in still],
        "left": left,
        "lines": said,
        "diff": {
            "before": lines,
            "after": "".join(f"{it['name']}: {it.get('mend', {}).get('text', '')}\n" for it in left),
        },
    }
    if ran.code:
        # the one that did not come up was touched as well
        raise Trouble("; ".join(said) or ran.said, changed=True, **result)
    return {"changed": bool(result["restarted"]), **result}


def main() -> None:
    answer(AnsibleModule(argument_spec={**COMMON, **ARGUMENTS}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
