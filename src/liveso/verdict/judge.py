"""The verdict over a pair of versions: all layers, one after another."""

from dataclasses import replace

from liveso.code import References
from liveso.elf import Image
from liveso.verdict import elf_rules, witness_rules
from liveso.verdict.finding import Finding, Policy, Verdict, Weight
from liveso.verdict.rules import Pair, Rule

LAYERS: dict[str, tuple[Rule, ...]] = {"ELF": elf_rules.RULES, "witness": witness_rules.RULES}
"""From the cheapest evidence to the dearest."""


def judge(old: Image, new: Image, references: References, policy: Policy = Policy.STRICT) -> Verdict:
    """Whether `new`, whose code has `references`, may replace `old`."""
    pair = Pair(old, new, references)
    layers = LAYERS if policy is Policy.STRICT else {"ELF": LAYERS["ELF"]}
    if old.machine != new.machine:
        layers = {"ELF": (elf_rules.machine_stays,)}  # nothing else can be compared
    found = [finding for layer, rules in layers.items() for rule in rules for finding in rule.findings(layer, pair)]
    if policy is Policy.FORCE:
        found = [it if it.weight is Weight.IMPOSSIBLE else replace(it, weight=Weight.NOTE) for it in found]
    return Verdict(tuple(sorted(found, key=_telling)))


_WEIGHTS, _LAYERS = list(Weight), list(LAYERS)


def _telling(it: Finding) -> tuple[int, int, int, str, str]:
    """Findings that refuse come first, then those that more places show; the order of the rules plays no part."""
    return _WEIGHTS.index(it.weight), -len(it.where), _LAYERS.index(it.layer), it.rule, it.text
