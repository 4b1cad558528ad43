"""What all modules of this collection have."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  executable:
    description: The C(liveso) command, by its name or its path.
    type: str
    default: liveso
  command_timeout:
    description: Seconds that one call of C(liveso) may take.
    type: int
    default: 60
requirements:
  - Python 3.9 or newer and C(liveso) on the machine that is managed
author:
  - liveso maintainers (@liveso)
"""
