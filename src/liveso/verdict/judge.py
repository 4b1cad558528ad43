"""The verdict over a pair of versions: all layers, one after another."""

from liveso.code import References
from liveso.elf import Image
from liveso.verdict import elf_rules
from liveso.verdict.finding import Verdict
from liveso.verdict.rules import Pair, Rule

LAYERS: tuple[tuple[Rule, ...], ...] = (elf_rules.RULES,)
"""From the cheapest evidence to the dearest; types (DWARF) and witnesses will be the next two."""


def judge(old: Image, new: Image, references: References) -> Verdict:
    """Whether `new`, whose code has `references`, may replace `old`."""
    pair = Pair(old, new, references)
    return Verdict(tuple(finding for layer in LAYERS for rule in layer for finding in rule(pair)))
