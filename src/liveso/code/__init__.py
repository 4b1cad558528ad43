"""The code of an image: its functions, their references to variables, and what they call in other libraries."""

from liveso.code.allocators import Allocators
from liveso.code.clobbers import Clobbers
from liveso.code.compared_constants import ComparedConstant, compared_constants
from liveso.code.compared_functions import ComparedFunctions, Comparison, compared_functions
from liveso.code.constant_references import with_references_to
from liveso.code.constants import constant_end, constant_starts, formed_constants, relative_tables, relative_targets
from liveso.code.entries import branches, entries, mark_at
from liveso.code.form import Form, Operation
from liveso.code.functions import functions
from liveso.code.handed_functions import handed_functions
from liveso.code.instructions import (
    CALLS,
    CallSite,
    Code,
    Instruction,
    Place,
    Reader,
    call_sites,
    frame_registers,
    keeps_frame,
)
from liveso.code.names import function_names
from liveso.code.next_definition import asks_for_next_definition
from liveso.code.panics import PanicMark, panic_mark
from liveso.code.parameters import parameters
from liveso.code.references import References, data_references, no_references
from liveso.code.remembered import remembered_functions
from liveso.code.shapes import Shapes
from liveso.code.start_up import finaliser_flag, has_own_code
from liveso.code.thread_local import (
    ThreadLocalReferences,
    ThreadLocalSlots,
    no_thread_local_references,
    thread_local_references,
    thread_local_slots,
)

__all__ = [
    "CALLS",
    "Allocators",
    "CallSite",
    "Clobbers",
    "Code",
    "ComparedConstant",
    "ComparedFunctions",
    "Comparison",
    "Form",
    "Instruction",
    "Operation",
    "PanicMark",
    "Place",
    "Reader",
    "References",
    "Shapes",
    "ThreadLocalReferences",
    "ThreadLocalSlots",
    "asks_for_next_definition",
    "branches",
    "call_sites",
    "compared_constants",
    "compared_functions",
    "constant_end",
    "constant_starts",
    "data_references",
    "entries",
    "finaliser_flag",
    "formed_constants",
    "frame_registers",
    "function_names",
    "functions",
    "handed_functions",
    "has_own_code",
    "keeps_frame",
    "mark_at",
    "no_references",
    "no_thread_local_references",
    "panic_mark",
    "parameters",
    "relative_tables",
    "relative_targets",
    "remembered_functions",
    "thread_local_references",
    "thread_local_slots",
    "with_references_to",
]
