"""liveso replaces shared libraries inside running Linux processes."""

from importlib import import_module

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """`__version__`, as it was installed: looked up when it is asked for, since that takes longer than all the rest of
    a command's start."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return str(import_module("importlib.metadata").version("liveso"))
