"""The changes to displacements in code."""

import numpy as np

from liveso.elf.tables import Table
from liveso.errors import Refused
from liveso.process.protocol import HALF


def displacements(table: Table, base: int, led_to: Table) -> Table:
    """The changes to the references in `table`, each of which shall lead to the address in `led_to`."""
    if not len(table):
        return np.zeros(0, HALF)
    distances = led_to - (table["target"].astype("<i8") + base)
    displacements = table["displacement"].astype("<i8") + distances
    if not (displacements.min() >= -(1 << 31) and displacements.max() < 1 << 31):
        raise Refused(
            f"the new version could only be loaded {int(abs(distances).max()) / 2**30:.1f} GiB from the variables, "
            "its code reaches 2 GiB; restart the program to get it"
        )
    halves = np.zeros(len(table), HALF)
    halves["address"] = table["place"] + np.uint64(base)
    halves["expected"] = table["displacement"].view("<u4")
    halves["value"] = displacements.astype("<i4").view("<u4")
    return halves
