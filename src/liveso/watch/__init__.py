"""The paths to libraries, and what happens to them on disk."""

from liveso.watch.package_manager import is_at_work
from liveso.watch.settling import Settling
from liveso.watch.watcher import Change, Watcher

__all__ = ["Change", "Settling", "Watcher", "is_at_work"]
