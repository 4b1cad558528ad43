"""What an image's code calls in other libraries: PLT stubs and slots, with the names behind them."""

import re
from collections.abc import Mapping

import numpy as np

from liveso.code.decode import decode
from liveso.code.syntax import syntax
from liveso.elf import Image, once_per_image, tables

# abort(3), exit(3), assert(3); the C++ ABI's ways to throw; libstdc++'s functions that throw; GLib's that its headers
# declare so (gtestutils.h); Ruby's (ruby/internal/error.h), libevent's (log-internal.h) and Perl's (proto.h) likewise
_NEVER_RETURNS = re.compile(
    r"(__stack_chk_fail|__assert_fail|__assert_rtn|abort|_?exit|quick_exit|__cxa_(re)?throw|_Unwind_Resume|"
    r"_ZSt\d+__throw_.*|g_assertion_message_expr|rb_((exc_)?raise|bug|fatal|notimplement|sys_fail)|event_(errx?|sock_err)|"
    r"Perl_croak\w*)$"
)
# functions of C that glibc declares to throw nothing (__THROW), and that compilers know so; operator delete (C++,
# [new.delete]); the C++ ABI's own that throw nothing
_NEVER_THROWS = re.compile(
    r"(mem(cpy|move|set|cmp|chr)|str(len|cmp|ncmp|chr|rchr|cpy|ncpy)|free|abort|_ZdlPv.*|_ZdaPv.*|__cxa_guard_(release|abort)|"
    r"__cxa_(atexit|begin_catch|free_exception|allocate_exception)|__stack_chk_fail|_ZSt9terminatev)$"
)


@once_per_image
def slot_names(image: Image) -> dict[int, str]:
    """The addresses of slots that the dynamic linker fills by name, with that name."""
    table = image.relocations[image.relocations["symbol"] != 0]
    kinds = [image.machine.jump_slot, image.machine.glob_dat]
    rows = table[np.isin(table["type"], kinds)]
    return {offset: image.symbols[index].name for offset, _type, index, _addend in rows.tolist()}


def stub_names(image: Image, slots: dict[int, str]) -> dict[int, str]:
    """The addresses of PLT stubs, with the name behind the slot in `slots` that each jumps through (psABI, "PLT")."""
    return {address: slots[slot] for address, slot in _stubs(image) if slot in slots}


@once_per_image
def _stubs(image: Image) -> list[tuple[int, int]]:
    """The address of each PLT stub, with that of its slot."""
    found: list[tuple[int, int]] = []
    for section in image.sections:
        if section.name.startswith(".plt") and section.is_code and section.has_bytes:
            decoded = decode(image.machine, image.section_bytes(section), section.address)
            found.extend(syntax(image.machine).stubs(decoded))
    return found


def last_calls(stubs: Mapping[int, str]) -> frozenset[int]:
    """Those of the stubs, by their addresses, whose functions never return."""
    return frozenset(it for it, name in stubs.items() if _NEVER_RETURNS.match(name))


def nothrow_calls(stubs: Mapping[int, str]) -> frozenset[int]:
    """Those of the stubs, by their addresses, whose functions throw nothing."""
    return frozenset(it for it, name in stubs.items() if _NEVER_THROWS.match(name))


def own_stubs(image: Image) -> dict[int, int]:
    """The addresses of PLT stubs that lead to exported functions of the image itself, unless another library has one of
    the name, with where these begin."""
    exported = {it.name: it.value for it in image.defined.values() if it.type == tables.STT_FUNC}
    return {at: exported[name] for at, name in stub_names(image, slot_names(image)).items() if name in exported}
