"""The paths to libraries, and what happens to them on disk."""

from liveso.watch.watcher import Change, Watcher

__all__ = ["Change", "Watcher"]
