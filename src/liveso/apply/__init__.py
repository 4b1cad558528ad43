"""One target: an update of its libraries, and what follows when it unloads one."""

from liveso.apply.carry import Carried, carry, mappings_of
from liveso.apply.lead_on import lead_on
from liveso.apply.outside import function_of, stale_threads
from liveso.apply.permission import defined_names, names_by_object, needed_names
from liveso.apply.target import LibraryUnloaded, Target, bound_copies, running_version, take_over, take_record, warm
from liveso.apply.unload import release_unloaded
from liveso.apply.update import Change, Outcome, update

__all__ = [
    "Carried",
    "Change",
    "LibraryUnloaded",
    "Outcome",
    "Target",
    "bound_copies",
    "carry",
    "defined_names",
    "function_of",
    "lead_on",
    "mappings_of",
    "names_by_object",
    "needed_names",
    "release_unloaded",
    "running_version",
    "stale_threads",
    "take_over",
    "take_record",
    "update",
    "warm",
]
