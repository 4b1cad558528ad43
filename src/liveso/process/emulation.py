"""Programs that another one runs, in its own process, instruction by instruction (valgrind)."""

import os

from liveso.elf import tables
from liveso.errors import TargetError
from liveso.process import proc

_AT_PHDR, _AT_PHENT, _AT_PHNUM = 3, 4, 5  # getauxval(3)
_MOST_SEGMENTS = 64


def require_own_program(pid: int, thread: int) -> None:
    """Raise TargetError where the program that the kernel has started cannot load libraries, and so cannot be whose
    libraries are there: it has translated their code already, and would not see what is written over that."""
    pairs = proc.auxiliary_vector(pid, thread)
    size, count = pairs.get(_AT_PHENT, 0), pairs.get(_AT_PHNUM, 0)
    if not size or count > _MOST_SEGMENTS:
        return
    headers = proc.read_memory(pid, thread, pairs.get(_AT_PHDR, 0), size * count)
    kinds = {int.from_bytes(headers[at : at + 4], "little") for at in range(0, len(headers), size)}
    if kinds and tables.PT_DYNAMIC not in kinds:
        raise TargetError(
            f"{os.path.basename(proc.program_path(pid, thread))} runs the program, which so does not execute its"
            " libraries' code itself: never updated"
        )
