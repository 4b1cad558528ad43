"""Programs on which live.so has no effect, as far as their files say for certain."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_E_MACHINE
from elftools.elf.segments import InterpSegment

from liveso.process.native import known_native_machine

_PIE = 0x08000000  # DF_1_PIE: a program, not a shared library (ld.so itself can be run and takes LD_PRELOAD)


@dataclass(frozen=True, slots=True)
class NoEffect:
    """Why live.so has no effect on a program. `harms`: the program's own loader would complain, or fail, so that it is
    better not preloaded."""

    reason: str
    harms: bool


def no_effect(program: str) -> NoEffect | None:
    """None where live.so has an effect, or where that is not certain."""
    if reason := _secure_execution(program):
        return NoEffect(reason, harms=False)
    try:
        with Path(program).open("rb") as file:
            return _by_its_loader(ELFFile(file))
    except Exception:  # a script, a file that may be run but not read, a damaged one: the kernel says what it is
        return None


def _by_its_loader(elf: ELFFile) -> NoEffect | None:
    machine = known_native_machine()
    if machine and (elf.elfclass != 64 or ENUM_E_MACHINE.get(elf["e_machine"]) != machine.e_machine):
        return NoEffect(f"it is a program for another machine than {machine.name} with 64 bits", harms=True)
    loader = next((it.get_interp_name() for it in elf.iter_segments() if isinstance(it, InterpSegment)), None)
    if loader is None:
        is_program = elf["e_type"] == "ET_EXEC" or any(
            tag.entry.d_tag == "DT_FLAGS_1" and tag.entry.d_val & _PIE
            for segment in elf.iter_segments()
            if isinstance(segment, DynamicSegment)
            for tag in segment.iter_tags()
        )
        return NoEffect("it is statically linked", harms=False) if is_program else None
    if os.path.basename(loader).startswith("ld-musl"):
        return NoEffect("it uses musl, and not glibc", harms=True)
    return None


def _secure_execution(program: str) -> str:
    """Why the program will run in secure-execution mode (ld.so(8)), in which LD_PRELOAD does not count."""
    try:
        it = os.stat(program)
        mounted = os.statvfs(program)
        no_new_privileges = "NoNewPrivs:\t1" in Path("/proc/self/status").read_text()
    except OSError:
        return ""
    if mounted.f_flag & os.ST_NOSUID or no_new_privileges or not stat.S_ISREG(it.st_mode):
        return ""
    if it.st_mode & stat.S_ISUID and it.st_uid != os.getuid():
        return "it gets the rights of another user (setuid), where the loader ignores LD_PRELOAD"
    if it.st_mode & stat.S_ISGID and it.st_mode & stat.S_IXGRP and it.st_gid != os.getgid():
        return "it gets the rights of another group (setgid), where the loader ignores LD_PRELOAD"
    return ""
