"""The processor that this kernel runs on."""

import os
from functools import cache

from liveso.errors import TargetError
from liveso.machine import MACHINES, Machine


def native_machine() -> Machine:
    """Whose code processes execute, but those that an emulator runs. Raises TargetError where it is not known."""
    found = known_native_machine()
    if found is None:
        raise TargetError(f"processes are not updated on {os.uname().machine} yet")
    return found


@cache
def known_native_machine() -> Machine | None:
    return next((it for it in MACHINES.values() if it.kernel_name == os.uname().machine), None)
