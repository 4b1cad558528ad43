"""A target seen from outside: its agent, its loaded objects and their slots, and what the kernel shows of it."""

from liveso.process.agent import (
    Agent,
    Hello,
    LoadedObject,
    ObjectList,
    ObjectsChanged,
    Opened,
    PlaceTaken,
    TakenBack,
    WordChanged,
)
from liveso.process.announcement import announcement
from liveso.process.protocol import Transaction
from liveso.process.resident import Resident
from liveso.process.visited import Visited

__all__ = [
    "Agent",
    "Hello",
    "LoadedObject",
    "ObjectList",
    "ObjectsChanged",
    "Opened",
    "PlaceTaken",
    "Resident",
    "TakenBack",
    "Transaction",
    "Visited",
    "WordChanged",
    "announcement",
]
