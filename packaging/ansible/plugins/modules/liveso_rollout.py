#!/usr/bin/python
# Copyright: the authors of liveso
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

DOCUMENTATION = r"""
module: liveso_rollout
short_description: Upgrade packages, and wait until liveso has brought their libraries into the processes that run
version_added: "0.1.0"
description:
  - Upgrades packages by apt, and waits until of each library of theirs it is known, in each process, whether the new
    version went in.
  - Packages are only upgraded, never installed. Where nothing is to be upgraded, it waits for what is under way.
  - In check mode nothing is upgraded; the packages are downloaded below root's C(~/.cache/liveso), and judged.
options:
  packages:
    description: Names of packages, with C(=VERSION) behind them where it is not to be the candidate of apt.
    type: list
    elements: str
  all:
    description: Whether all packages are upgraded that have updates, as C(apt-get upgrade) does it.
    type: bool
    default: false
  update_cache:
    description: Whether apt reads its lists anew before.
    type: bool
    default: false
  apt_timeout:
    description: Seconds that apt may take.
    type: int
    default: 1800
  timeout:
    description: Seconds to wait, after apt is done, until each process has a result.
    type: int
    default: 300
  check_timeout:
    description: Seconds that the verdict over one package may take, in check mode.
    type: int
    default: 600
  refusals_allowed:
    description:
      - So many libraries of processes may be refused, fail, wait for a person or crash, before this is a failure.
      - V(-1) allows any number.
    type: int
    default: 0
extends_documentation_fragment:
  - liveso.liveso.common
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: debian
"""

EXAMPLES = r"""
- name: Bring OpenSSL's update into all services that run
  liveso.liveso.liveso_rollout:
    packages: [libssl3]
    update_cache: true

- name: What would be refused of all that is to be had
  liveso.liveso.liveso_rollout:
    all: true
  check_mode: true
  register: would
"""

RETURN = r"""
packages:
  description: What was upgraded, or would be, each with C(name), C(before) and C(after).
  returned: always
  type: list
  elements: dict
results:
  description: What has become of each library of these packages, by service, with C(service), C(library), C(result),
    C(reason), C(version), C(build_id), C(in_force) and C(pids).
  returned: not in check mode
  type: list
  elements: dict
refused:
  description: Those of RV(results) in which the version on disk did not go in.
  returned: not in check mode
  type: list
  elements: dict
verdicts:
  description: In check mode, for each library of these packages, C(package), C(library), C(verdict) (V(applies),
    V(refused), V(depends on the process), V(asks a person), V(unknown)), C(reasons), and the C(services) that have it.
  returned: in check mode
  type: list
  elements: dict
services:
  description: The systemd services that have a library of these packages.
  returned: always
  type: list
  elements: str
undo:
  description: What takes back what went in, each with the options C(library), C(version) and C(targets) of
    M(liveso.liveso.liveso_rollback).
  returned: not in check mode
  type: list
  elements: dict
started:
  description: When it began, in seconds since 1970, by the machine's clock.
  returned: always
  type: float
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.liveso.liveso.plugins.module_utils.liveso import COMMON, answer, liveso_of
from ansible_collections.liveso.liveso.plugins.module_utils.rollout import Rollout

ARGUMENTS = {
    "packages": {"type": "list", "elements": "str"},
    "all": {"type": "bool", "default": False},
    "update_cache": {"type": "bool", "default": False},
    "apt_timeout": {"type": "int", "default": 1800},
    "timeout": {"type": "int", "default": 300},
    "check_timeout": {"type": "int", "default": 600},
    "refusals_allowed": {"type": "int", "default": 0},
}


def work(module: AnsibleModule) -> dict[str, Any]:
    rollout = Rollout(liveso_of(module), module.params, time.time())
    return rollout.foresee() if module.check_mode else rollout.carry_out()


def main() -> None:
    module = AnsibleModule(
        argument_spec={**COMMON, **ARGUMENTS},
        supports_check_mode=True,
    )
    # all: false beside packages is no contradiction, as mutually_exclusive would have it
    if bool(module.params["packages"]) == module.params["all"]:
        module.fail_json(msg="name packages, or say all: true")
    answer(module, work)


if __name__ == "__main__":
    main()
