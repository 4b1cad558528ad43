"""Which class code makes an object of, as the constructor says that it calls for it."""

import re
from collections.abc import Mapping

from liveso.code import CALLS, Code, Operation
from liveso.machine import Machine

_PART = re.compile(r"(\d+)")
_CONSTRUCTOR = re.compile(r"C[12]")


def constructed_class(code: Code, allocation: int, names: Mapping[int, str], machine: Machine) -> str:
    """The class whose constructor is the next function that gets what the allocation, a call at that address, returned;
    empty where that is not told. `names` are those of the image's own functions, by their addresses."""
    index = code.index_at(allocation)
    held: set[str] = {machine.result_register}
    for at in range(len(code) if index is None else index + 1, len(code)):
        form = code.forms[at]
        if form.operation in CALLS and (it := code[at]).is_call:
            is_own = it.place is not None and it.place.kind == "function"
            name = names.get(it.place.offset, "") if is_own and it.place is not None else it.imported
            return class_of_constructor(name) if machine.argument_registers[0] in held else ""
        if form.leads_to_code or form.operation in (Operation.JUMP, Operation.RETURN):
            break
        is_copy = form.operation is Operation.MOVE and not form.is_store and form.source in held
        held = held.union(form.written) if is_copy else held.difference(form.written)
    return ""


def class_of_constructor(name: str) -> str:
    """The qualified name of the class, as the Itanium C++ ABI writes it (5.1.5, nested names), that a function is a
    constructor of; empty for other functions, and for instances of templates."""
    if not name.startswith("_ZN"):
        return ""
    at = len("_ZN")
    while found := _PART.match(name, at):
        at = found.end() + int(found[1])
    return name[len("_ZN") : at] if at > len("_ZN") and _CONSTRUCTOR.match(name, at) else ""
