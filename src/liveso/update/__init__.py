"""The update of libraries in a target: plan, relink, redirect, and what is remembered of it."""

from liveso.update.analysis import Analyst
from liveso.update.carry import Carried, carry, mappings_of
from liveso.update.dependencies import new_dependencies
from liveso.update.functions import overwritten_bytes
from liveso.update.lead_on import lead_on
from liveso.update.needs import PROGRAM, Choice, choose, groups, needed_objects
from liveso.update.permission import defined_names, names_by_object, needed_names
from liveso.update.record import LibraryState, LoadedVersion, decode_record
from liveso.update.target import LibraryUnloaded, Target, running_version, take_over, warm
from liveso.update.unload import release_unloaded
from liveso.update.update import Change, Outcome, update
from liveso.update.workers import Workers

__all__ = [
    "PROGRAM",
    "Analyst",
    "Carried",
    "Change",
    "Choice",
    "LibraryState",
    "LibraryUnloaded",
    "LoadedVersion",
    "Outcome",
    "Target",
    "Workers",
    "carry",
    "choose",
    "decode_record",
    "defined_names",
    "groups",
    "lead_on",
    "mappings_of",
    "names_by_object",
    "needed_names",
    "needed_objects",
    "new_dependencies",
    "overwritten_bytes",
    "release_unloaded",
    "running_version",
    "take_over",
    "update",
    "warm",
]
