"""`liveso check`: whether one version of a library may replace another, and what changes."""

from liveso.cli.check.command import check

__all__ = ["check"]
