"""liveso replaces shared libraries inside running Linux processes."""

from importlib.metadata import version

__version__ = version("liveso")
