"""What the verdict consists of."""

from dataclasses import dataclass
from enum import StrEnum

from liveso.compare.correspondence import Correspondence, Piece, SameFunction


class Weight(StrEnum):
    """How much a finding counts."""

    IMPOSSIBLE = "impossible"
    """The new version cannot be brought into the process, whatever the policy."""
    REFUSES = "refuses"
    """The new version must not replace the old one."""
    REFUSES_IF_NEEDED = "refuses if needed"
    """It must not where something in the target needs the finding's symbol."""
    OUTSIDE = "outside"
    """It must not while a thread is inside the library."""
    ASKS = "asks"
    """It must not before a person has said that it may."""
    NOTE = "note"
    """Worth knowing; it does not stand in the way."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between two versions, with its evidence.

    `rule` names the rule that found it, in the layer `layer`; `symbol` is the `(name, version)` that it is about, where
    it is about one. `old` and `new` are the two values, `where` the places that show them, as far as there are such.
    """

    layer: str
    rule: str
    weight: Weight
    text: str
    symbol: tuple[str, str] | None = None
    old: str = ""
    new: str = ""
    where: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a version may replace another: it may, where no finding refuses. `correspondence` says where each
    variable was, and `thread_locals` where each thread-local one was, None where that is not known; `tables` are the
    constant tables that are the same objects in both, by the addresses of their bytes, and constants that code knows by
    their address, by that of the first byte, and `functions` the functions
    that are the same, of those whose address in the old version a process may remember."""

    findings: tuple[Finding, ...]
    correspondence: Correspondence | None = None
    thread_locals: Correspondence | None = None
    tables: tuple[Piece, ...] = ()
    functions: tuple[SameFunction, ...] = ()

    def refusals(self, needed: frozenset[str] | None) -> tuple[Finding, ...]:
        """The findings that stand in the way in a target whose other objects refer to the names `needed`; None stands
        for a target that is not known, and may need them all."""
        return tuple(
            finding
            for finding in self.findings
            if finding.weight in (Weight.REFUSES, Weight.IMPOSSIBLE)
            or (
                finding.weight is Weight.REFUSES_IF_NEEDED
                and finding.symbol
                and (needed is None or finding.symbol[0] in needed)
            )
        )

    @property
    def questions(self) -> tuple[Finding, ...]:
        """The findings that a person is asked about, where no other stands in the way."""
        return tuple(it for it in self.findings if it.weight is Weight.ASKS)

    @property
    def is_right_outside(self) -> bool:
        """Whether the new version may only come when no thread is inside the library."""
        return any(it.weight is Weight.OUTSIDE for it in self.findings)

    @property
    def may_depend_on_target(self) -> bool:
        return any(finding.weight is Weight.REFUSES_IF_NEEDED for finding in self.findings)


class Policy(StrEnum):
    """What stands in the way of an update."""

    STRICT = "strict"
    """Every layer's refusals."""
    ASK = "ask"
    """The same, but for a meaning that changed, as far as the rules see it, a person is asked, whether they would
    refuse for it or note it."""
    ELF = "elf"
    """What the files' headers and tables say; not what their types and their code say."""
    FORCE = "force"
    """Only what makes the update impossible."""


def describe(findings: tuple[Finding, ...]) -> str:
    """The first finding in words, the rest counted; nothing for none."""
    if not findings:
        return ""
    more = len(findings) - 1
    return findings[0].text + (f" (and {more} more)" if more > 0 else "")
