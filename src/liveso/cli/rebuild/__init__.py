"""`liveso run --build`: build when a source changes, and say what became of it in the program that runs."""

from liveso.cli.rebuild.loop import Plan, keep_building

__all__ = ["Plan", "keep_building"]
