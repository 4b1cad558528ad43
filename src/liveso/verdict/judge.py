"""The verdict over a pair of versions: all layers, one after another."""

from dataclasses import replace

from liveso.code import References
from liveso.elf import Image
from liveso.errors import ImageError
from liveso.verdict import dwarf_rules, elf_rules, witness_rules
from liveso.verdict.correspondence import Correspondence, Piece
from liveso.verdict.debug_files import DebugSource
from liveso.verdict.finding import Finding, Policy, Verdict, Weight
from liveso.verdict.rules import Pair, Rule
from liveso.verdict.tables import match_tables

LAYERS: dict[str, tuple[Rule, ...]] = {
    "ELF": elf_rules.RULES,
    "DWARF": dwarf_rules.RULES,
    "witness": witness_rules.RULES,
}
"""From the cheapest evidence to the dearest."""


_NO_SERVER = DebugSource()


def judge(
    old: Image,
    new: Image,
    policy: Policy = Policy.STRICT,
    debug_source: DebugSource = _NO_SERVER,
    references: References | None = None,
) -> Verdict:
    """Whether `new` may replace `old`. `references` are those of the new version's code, where they are known."""
    pair = Pair(old, new, debug_source, references)
    layers = LAYERS if policy is Policy.STRICT else {"ELF": LAYERS["ELF"]}
    if old.machine != new.machine:
        layers = {"ELF": (elf_rules.machine_stays,)}  # nothing else can be compared
    found = [finding for layer, rules in layers.items() for rule in rules for finding in rule.findings(layer, pair)]
    if policy is Policy.FORCE:
        found = [it if it.weight is Weight.IMPOSSIBLE else replace(it, weight=Weight.NOTE) for it in found]
    return Verdict(tuple(sorted(found, key=_telling)), *_correspondences(pair), _tables(pair))


def _correspondences(pair: Pair) -> tuple[Correspondence | None, Correspondence | None]:
    if pair.old.machine != pair.new.machine:
        return None, None
    try:
        return pair.correspondence, pair.thread_locals
    except ImageError:
        return None, None


def _tables(pair: Pair) -> tuple[Piece, ...]:
    if pair.old.machine != pair.new.machine or not pair.new.machine.can_be_updated:
        return ()
    try:
        references = pair.old_references.constants, pair.references.constants
        return match_tables(pair.old, pair.new, pair.matching, references)
    except ImageError:
        return ()  # without functions, no table is known


_WEIGHTS, _MOST_TELLING = list(Weight), ("DWARF", "ELF", "witness")


def _telling(it: Finding) -> tuple[int, int, int, str, str]:
    """Findings that refuse come first, then what has names, then what more places show; the order of the rules plays no
    part."""
    return _WEIGHTS.index(it.weight), _MOST_TELLING.index(it.layer), -len(it.where), it.rule, it.text
