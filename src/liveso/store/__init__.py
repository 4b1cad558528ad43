"""The folder of versions, by content, and the prepared copies that targets open."""

from liveso.store.notes import Notes
from liveso.store.prepare import own_descriptors, own_tls_relocations, room_for_detours, room_for_modules
from liveso.store.snapshot import unreadable
from liveso.store.store import Store
from liveso.store.version import Version

__all__ = [
    "Notes",
    "Store",
    "Version",
    "own_descriptors",
    "own_tls_relocations",
    "room_for_detours",
    "room_for_modules",
    "unreadable",
]
