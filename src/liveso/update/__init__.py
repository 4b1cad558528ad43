"""The update of libraries in a target: plan, relink, redirect, and what is remembered of it."""

from liveso.update.analysis import Analysis, Analyst
from liveso.update.carry import Carried, carry, mappings_of
from liveso.update.record import LibraryState, LoadedVersion, decode_record
from liveso.update.target import LibraryUnloaded, Target, take_over, warm
from liveso.update.unload import release_unloaded
from liveso.update.update import Change, Outcome, sweep, update

__all__ = [
    "Analysis",
    "Analyst",
    "Carried",
    "Change",
    "LibraryState",
    "LibraryUnloaded",
    "LoadedVersion",
    "Outcome",
    "Target",
    "carry",
    "decode_record",
    "mappings_of",
    "release_unloaded",
    "sweep",
    "take_over",
    "update",
    "warm",
]
