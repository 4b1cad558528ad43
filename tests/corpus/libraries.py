"""What the verdict says of two libraries that are built for one test."""

from collections.abc import Callable
from pathlib import Path

from liveso.elf import read_image
from liveso.verdict import Finding, Weight, judge

Build = Callable[..., Path]
"""Compiles a text with flags, and returns the library."""


def findings(old: Path, new: Path) -> dict[str, Finding]:
    """What refuses, by the name of the rule."""
    verdict = judge(read_image(old.read_bytes()), read_image(new.read_bytes()))
    return {it.rule: it for it in verdict.findings if it.weight is not Weight.NOTE}
