"""The verdict over a pair of versions: all layers, one after another."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from liveso.code import References
from liveso.compare.both_codes import BothCodes
from liveso.compare.correspondence import Correspondence, Piece, SameFunction
from liveso.compare.same_objects import find_same_constants
from liveso.debug.debug_files import DebugSource
from liveso.elf import Image, printable
from liveso.errors import ImageError
from liveso.side_by_side import Meanwhile
from liveso.verdict import (
    dwarf_rules,
    element_size,
    elf_rules,
    encoded_members,
    layout_rules,
    lock_kinds,
    meaning_rules,
    new_counters,
    number_signs,
    resources,
    reused_members,
    shared_computations,
    state_rules,
    turned_counters,
    turned_orders,
    witness_rules,
)
from liveso.verdict.finding import Finding, Policy, Verdict, Weight
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Rule

LAYERS: dict[str, tuple[Rule, ...]] = {
    "ELF": elf_rules.RULES,
    "DWARF": dwarf_rules.RULES,
    "witness": witness_rules.RULES,
    "layout": (
        *layout_rules.RULES,
        new_counters.counters_are_known_from_the_start,
        element_size.elements_keep_their_size,
        number_signs.numbers_keep_their_sign,
    ),
    "state": (*state_rules.RULES, lock_kinds.locks_keep_their_kind, resources.resources_keep_their_kind),
    "meaning": (
        *meaning_rules.RULES,
        reused_members.members_keep_their_users,
        encoded_members.members_keep_their_form,
        turned_counters.counters_keep_their_direction,
        turned_orders.orders_keep_their_direction,
        shared_computations.computations_stay_the_same,
    ),
}
"""From the cheapest evidence to the dearest."""

JUDGING_FAILED = "judging-failed"
"""The rule of findings that say that a part of the judgement could not be made."""
_LONGEST_SAID = 200  # characters of an error

_MANY_FUNCTIONS = 1000

_NO_SERVER = DebugSource()


def judge(
    old: Image,
    new: Image,
    policy: Policy = Policy.STRICT,
    debug_source: DebugSource = _NO_SERVER,
    references: References | None = None,
) -> Verdict:
    """Whether `new` may replace `old`. `references` are those of the new version's code, where they are known.

    Raises nothing: what cannot be judged, for whatever reason, is refused, with a finding that has its name.
    """
    code = BothCodes(old, new, references)
    layers = LAYERS if policy in (Policy.STRICT, Policy.ASK) else {"ELF": LAYERS["ELF"]}
    if old.machine != new.machine:
        layers = {"ELF": (elf_rules.machine_stays,)}  # nothing else can be compared
    found: list[Finding] = []
    with paired(code, debug_source) as pair:
        for layer, rules in layers.items():
            for rule in rules:
                _apply(rule, layer, pair, found)
        facts = _facts(pair, found)
    if policy is Policy.FORCE:
        found = [it if it.weight is Weight.IMPOSSIBLE else replace(it, weight=Weight.NOTE) for it in found]
    if policy is Policy.ASK:
        found = [replace(it, weight=Weight.ASKS) if _is_of_meaning(it) else it for it in found]
    return Verdict(tuple(sorted(found, key=_telling)), *facts)


@contextmanager
def paired(code: BothCodes, debug_source: DebugSource) -> Iterator[Pair]:
    """What rules are applied to. Of large libraries, a second process matches constants, while the rules that come
    first are about variables."""
    with Meanwhile(partial(find_same_constants, code), is_worth_it=_is_large(code)) as constants:
        yield Pair(code, debug_source, constants.result)


def _is_large(code: BothCodes) -> bool:
    """Whether it has so many functions that two processes are faster. All that both need of them is read before."""
    if code.old.machine != code.new.machine:
        return False
    try:
        known = code.old_references, code.references, code.matching
    except Exception:  # the rules meet it again, and say it
        return False
    return len(known[-1].pairs) > _MANY_FUNCTIONS


def _is_of_meaning(it: Finding) -> bool:
    """Whether a person can know what a rule could not. Of a rule that went wrong nobody knows what it would say."""
    return it.layer == "meaning" and it.rule != JUDGING_FAILED


def _apply(rule: Rule, layer: str, pair: Pair, found: list[Finding]) -> None:
    """Add what a rule finds; whatever it ends with otherwise is a finding, too. What the ELF layer asks, relinking must
    know."""
    weight = Weight.IMPOSSIBLE if layer == "ELF" else Weight.REFUSES
    try:
        found.extend(rule.findings(layer, pair))
    except Exception as error:  # a rule that went wrong has not said yes
        found.append(failure(layer, f"the rule {rule.name}", error, weight))


_Facts = tuple[Correspondence | None, Correspondence | None, tuple[Piece, ...], tuple[SameFunction, ...]]


def _facts(pair: Pair, found: list[Finding]) -> _Facts:
    """Where the variables were, and which tables and functions are the same; what goes wrong in it is added to what was
    `found`."""
    if pair.old.machine != pair.new.machine:
        return None, None, (), ()
    try:
        return *_correspondences(pair), *_same(pair)
    except Exception as error:  # as in `_apply`
        found.append(failure("ELF", "matching variables, tables and functions", error, Weight.IMPOSSIBLE))
        return None, None, (), ()


def failure(layer: str, what: str, error: Exception, weight: Weight) -> Finding:
    """The finding that a part of the judgement could not be made, for a reason that no rule foresees."""
    if isinstance(error, ImageError):
        text = f"it could not be judged: {error}"
    else:
        said = f" ({' '.join(str(error).split())[:_LONGEST_SAID]})" if str(error) else ""
        text = (
            f"it could not be judged: {what} ended with {type(error).__name__}{said}; restart the process to get this "
            "version, and report the two files"
        )
    return Finding(layer, JUDGING_FAILED, weight, printable(text))


def _correspondences(pair: Pair) -> tuple[Correspondence | None, Correspondence | None]:
    try:
        return pair.variables.shared, pair.variables.each_thread
    except ImageError:
        return None, None


def _same(pair: Pair) -> tuple[tuple[Piece, ...], tuple[SameFunction, ...]]:
    constants: tuple[Piece, ...] = ()
    try:
        constants = pair.same.constants.in_order
        return constants, pair.same.functions
    except ImageError:
        return constants, ()  # without functions, no table is known


_WEIGHTS, _MOST_TELLING = list(Weight), ("DWARF", "ELF", "witness", "layout", "state", "meaning")


def _telling(it: Finding) -> tuple[int, int, int, str, str]:
    """Findings that refuse come first, then what has names, then what more places show; the order of the rules plays no
    part."""
    return _WEIGHTS.index(it.weight), _MOST_TELLING.index(it.layer), -len(it.where), it.rule, it.text
