"""What an image's code calls in other libraries: PLT stubs and slots, with the names behind them."""

import re
from collections.abc import Mapping

import numpy as np

from liveso.code.syntax import decoder, syntax
from liveso.elf import Image

# abort(3), exit(3), assert(3); the C++ ABI's ways to throw; libstdc++'s functions that throw
_NEVER_RETURNS = re.compile(
    r"(__stack_chk_fail|__assert_fail|__assert_rtn|abort|_?exit|quick_exit|__cxa_(re)?throw|_Unwind_Resume|_ZSt\d+__throw_.*)$"
)


def slot_names(image: Image) -> dict[int, str]:
    """The addresses of slots that the dynamic linker fills by name, with that name."""
    table = image.relocations[image.relocations["symbol"] != 0]
    kinds = [image.machine.jump_slot, image.machine.glob_dat]
    rows = table[np.isin(table["type"], kinds)]
    return {offset: image.symbols[index].name for offset, _type, index, _addend in rows.tolist()}


def stub_names(image: Image, slots: dict[int, str]) -> dict[int, str]:
    """The addresses of PLT stubs, with the name behind the slot in `slots` that each jumps through (psABI, "PLT")."""
    found: dict[int, str] = {}
    for section in image.sections:
        if section.name.startswith(".plt") and section.is_code and section.has_bytes:
            decoded = decoder(image.machine).disasm_lite(image.section_bytes(section), section.address)
            for address, slot in syntax(image.machine).stubs(decoded):
                if slot in slots:
                    found[address] = slots[slot]
    return found


def last_calls(stubs: Mapping[int, str]) -> frozenset[int]:
    """Those of the stubs, by their addresses, whose functions never return."""
    return frozenset(it for it, name in stubs.items() if _NEVER_RETURNS.match(name))
