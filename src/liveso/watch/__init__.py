"""The paths to libraries, and what happens to them on disk."""

from liveso.watch.leases import IN_WRITING, Lease, Leases, break_time
from liveso.watch.package_manager import holders
from liveso.watch.settling import Settling
from liveso.watch.watcher import Change, Watcher

__all__ = ["IN_WRITING", "Change", "Lease", "Leases", "Settling", "Watcher", "break_time", "holders"]
