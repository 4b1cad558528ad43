"""The facts of each processor that liveso knows: one file a processor, and nowhere else."""

from liveso.machine.aarch64 import AARCH64
from liveso.machine.frames import FrameRegisters
from liveso.machine.machine import Machine
from liveso.machine.part_encoding import PartEncoding
from liveso.machine.riscv64 import RISCV64
from liveso.machine.words import CodeWords, Part
from liveso.machine.x86_64 import X86_64

MACHINES = {machine.e_machine: machine for machine in (X86_64, AARCH64, RISCV64)}

__all__ = ["AARCH64", "MACHINES", "RISCV64", "X86_64", "CodeWords", "FrameRegisters", "Machine", "Part", "PartEncoding"]
