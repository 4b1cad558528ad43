#!/usr/bin/python
# Copyright: the authors of liveso
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

DOCUMENTATION = r"""
module: liveso_facts
short_description: What runs in memory, which services need a restart, and which CVEs are fixed
version_added: "0.1.0"
description:
  - Collects what C(liveso) knows of a machine as the fact C(liveso).
  - Nothing fails where no daemon answers, or liveso is not there; then C(liveso.problems) says so.
options:
  gather:
    description:
      - What is to be known.
      - V(restarts) and V(cves) need a liveso that has C(restart-needed) and C(cves); without them,
        C(liveso.unavailable) says why they are not there.
    type: list
    elements: str
    choices: [services, restarts, cves]
    default: [services, restarts, cves]
extends_documentation_fragment:
  - liveso.liveso.common
  - ansible.builtin.action_common_attributes
  - ansible.builtin.action_common_attributes.facts
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  facts:
    support: full
  platform:
    platforms: linux
"""

EXAMPLES = r"""
- name: What runs in memory
  liveso.liveso.liveso_facts:

- name: Tell which services run old code
  ansible.builtin.debug:
    msg: "{{ ansible_facts.liveso.services | selectattr('in_force', 'false') | map(attribute='service') | unique }}"
"""

RETURN = r"""
ansible_facts:
  description: The fact C(liveso).
  returned: always
  type: dict
  contains:
    liveso:
      description: What is known.
      returned: always
      type: dict
      contains:
        answers:
          description: Whether a daemon answers.
          type: bool
          returned: always
        version:
          description: Of the daemon.
          type: str
          returned: always
        problems:
          description: What the daemon cannot do, or why none answers.
          type: list
          elements: str
          returned: always
        services:
          description: Each library of each service, with C(result), C(reason), C(version), C(build_id),
            C(in_force) and C(pids).
          type: list
          elements: dict
          returned: always
        not_served:
          description: Processes that are not kept up to date, with the reason (C(note)).
          type: list
          elements: dict
          returned: always
        restarts:
          description: What needs a restart, as C(liveso restart-needed --json) says it in C(needed).
          type: list
          elements: dict
          returned: always
        cves:
          description: By package, as C(liveso cves --json) says it in C(packages).
          type: list
          elements: dict
          returned: always
        unavailable:
          description: What is not known, and why, by the word in O(gather).
          type: dict
          returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.liveso.liveso.plugins.module_utils.liveso import COMMON, Liveso, Trouble, answer, liveso_of
from ansible_collections.liveso.liveso.plugins.module_utils.status import by_service, entries

ARGUMENTS = {
    "gather": {
        "type": "list",
        "elements": "str",
        "choices": ["services", "restarts", "cves"],
        "default": ["services", "restarts", "cves"],
    },
}
_LISTS = {"restarts": ("restart-needed", "needed"), "cves": ("cves", "packages")}


def collect(liveso: Liveso, wanted: list[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "answers": False,
        "version": "",
        "problems": [],
        "services": [],
        "not_served": [],
        "restarts": [],
        "cves": [],
        "unavailable": {},
    }
    try:
        status = liveso.status()
    except Trouble as trouble:
        facts["problems"] = [str(trouble)]
        facts["unavailable"]["services"] = str(trouble)
    else:
        facts.update(answers=True, version=status.get("version", ""), problems=status.get("problems", []))
        if "services" in wanted:
            facts["services"] = by_service(entries(status))
            facts["not_served"] = [
                {name: it.get(name) for name in ("pid", "command", "user", "note")}
                for it in status.get("targets", ())
                if it.get("note")
            ]
    for word, (command, field) in _LISTS.items():
        if word in wanted:
            try:
                facts[word] = liveso.json(command).get(field, [])
            except Trouble as trouble:
                facts["unavailable"][word] = str(trouble)
    return facts


def work(module: AnsibleModule) -> dict[str, Any]:
    return {"changed": False, "ansible_facts": {"liveso": collect(liveso_of(module), module.params["gather"])}}


def main() -> None:
    answer(AnsibleModule(argument_spec={**COMMON, **ARGUMENTS}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
