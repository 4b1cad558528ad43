"""What an update writes, worked out without a process: homes, references, jumps, slots, and the record of them."""

from liveso.plan.address_map import AddressMap
from liveso.plan.dependencies import new_dependencies
from liveso.plan.needs import PROGRAM, Choice, Offers, choose, groups, needed_objects, unmet_need
from liveso.plan.record import LibraryState, LoadedVersion
from liveso.plan.recorded import decode_record

__all__ = [
    "PROGRAM",
    "AddressMap",
    "Choice",
    "LibraryState",
    "LoadedVersion",
    "Offers",
    "choose",
    "decode_record",
    "groups",
    "needed_objects",
    "new_dependencies",
    "unmet_need",
]
