"""`liveso top`: services and libraries as they change, in the terminal."""

from liveso.cli.top.command import top

__all__ = ["top"]
