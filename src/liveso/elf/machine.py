"""The facts of each machine that liveso knows: one row a machine, and nowhere else."""

from dataclasses import dataclass

import capstone


@dataclass(frozen=True, slots=True)
class Machine:
    """The numbers of a processor's psABI supplement that the rest of the code needs.

    `relative` … `tls_descriptor` are relocation types (psABI, "Relocation"); `word` is in bytes.
    `displacement_size` is that of the field by which an instruction refers to memory relative to itself, in
    bytes. `minus_one_passed` are the instructions that make -1 the first argument of a call, as compilers write them.
    """

    name: str
    e_machine: int
    word: int
    none: int
    relative: int
    absolute: int
    glob_dat: int
    jump_slot: int
    copy: int
    indirect_relative: int
    tls_module: int
    tls_offset: int
    tls_static_offset: int
    tls_descriptor: int
    capstone_architecture: int
    capstone_mode: int
    program_counter: str
    displacement_size: int
    minus_one_passed: tuple[bytes, ...]

    @property
    def slot_relocations(self) -> frozenset[int]:
        """Relocations that leave the address of a function or variable in a word."""
        return frozenset({self.relative, self.absolute, self.glob_dat, self.jump_slot, self.indirect_relative})

    @property
    def tls_relocations(self) -> frozenset[int]:
        """Relocations that leave a module ID or an offset of thread-local storage in a word."""
        return frozenset({self.tls_module, self.tls_offset, self.tls_static_offset, self.tls_descriptor})


# System V ABI, AMD64 Architecture Processor Supplement, 4.4 "Relocation"
X86_64 = Machine(
    name="x86-64",
    e_machine=62,
    word=8,
    none=0,
    relative=8,
    absolute=1,
    glob_dat=6,
    jump_slot=7,
    copy=5,
    indirect_relative=37,
    tls_module=16,
    tls_offset=17,
    tls_static_offset=18,
    tls_descriptor=36,
    capstone_architecture=capstone.CS_ARCH_X86,
    capstone_mode=capstone.CS_MODE_64,
    program_counter="rip",
    displacement_size=4,
    # mov $-1, %rdi; or $-1, %rdi; push $-1 and pop %rdi
    minus_one_passed=(b"\x48\xc7\xc7\xff\xff\xff\xff", b"\x48\x83\xcf\xff", b"\x6a\xff\x5f"),
)

MACHINES = {machine.e_machine: machine for machine in (X86_64,)}
