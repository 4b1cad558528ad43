"""Programs that another one runs, in its own process, instruction by instruction (valgrind, qemu-user)."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from liveso.elf import tables
from liveso.errors import TargetError
from liveso.machine import MACHINES, Machine
from liveso.process import memory_map, proc
from liveso.process.agent_file import is_agent
from liveso.process.memory_map import Mapping
from liveso.process.native import native_machine

_AT_PHDR, _AT_PHENT, _AT_PHNUM = 3, 4, 5  # getauxval(3)
_MOST_SEGMENTS = 64
_HEADER = 20  # bytes, up to e_machine (gABI, "ELF Header")


@dataclass(frozen=True, slots=True)
class Execution:
    """Which machine's code a process executes, and whether an emulator does so in its place: `is_translated` code is
    not what the kernel executes, and a change is only seen there if the program itself writes it."""

    machine: Machine
    is_translated: bool


def execution_of(pid: int, thread: int, function: int) -> Execution:
    """How a process executes the library whose code is at the address `function`; without one, it is the kernel that
    does so. Raises TargetError."""
    if not function:
        return Execution(native_machine(), is_translated=False)
    mappings = memory_map.mappings(pid, thread)
    found = next((it for it in mappings if it.start <= function < it.end), None)
    file = found.file if found else None
    first = next((it for it in reversed(mappings) if it.file == file and it.offset == 0 and it.start <= function), None)
    if found is None or first is None or not found.file.inode:
        raise TargetError("where its live.so says that its C library is, there is none")
    header = proc.read_memory(pid, thread, first.start, _HEADER)
    machine = MACHINES.get(int.from_bytes(header[-2:], "little"))
    if not header.startswith(b"\x7fELF") or machine is None:
        raise TargetError("its code is for a machine that liveso does not know")
    return Execution(machine, not found.is_executable)


def require_not_translated(mappings: Sequence[Mapping]) -> None:
    """Raise TargetError where live.so is there, but not executed: the emulator that runs the program would not see what
    a visit changes."""
    executed = {it.file for it in mappings if it.is_executable}
    if any(is_agent(it.file.path) and it.file not in executed for it in mappings):
        raise TargetError(
            "an emulator runs the program, so that only a thread of live.so's can update its libraries: start it with"
            " LIVE_MODE=resident"
        )


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
