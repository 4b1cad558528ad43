"""The update of a library in a target: plan, relink, redirect, and what is remembered of it."""

from liveso.update.analysis import Analysis, Analyst
from liveso.update.record import LibraryState, LoadedVersion, decode_record
from liveso.update.update import Outcome, Target, sweep, update, warm

__all__ = [
    "Analysis",
    "Analyst",
    "LibraryState",
    "LoadedVersion",
    "Outcome",
    "Target",
    "decode_record",
    "sweep",
    "update",
    "warm",
]
