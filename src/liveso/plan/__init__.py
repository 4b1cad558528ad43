"""What an update writes, worked out without a process: homes, references, jumps, slots, and the record of them."""

from liveso.plan.dependencies import new_dependencies
from liveso.plan.functions import overwritten_bytes
from liveso.plan.needs import PROGRAM, Choice, choose, groups, needed_objects
from liveso.plan.record import LibraryState, LoadedVersion, decode_record

__all__ = [
    "PROGRAM",
    "Choice",
    "LibraryState",
    "LoadedVersion",
    "choose",
    "decode_record",
    "groups",
    "needed_objects",
    "new_dependencies",
    "overwritten_bytes",
]
