"""The process that watches, judges, plans and commands."""

from liveso.daemon.run import run_daemon

__all__ = ["run_daemon"]
