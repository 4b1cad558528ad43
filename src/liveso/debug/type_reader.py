"""drgn, told to read in one thread: several would take the types of one name in any order, and a type
of one version would be compared with another type of the other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when libgomp is loaded (its manual, "OMP_NUM_THREADS")

import drgn

__all__ = ["drgn"]
