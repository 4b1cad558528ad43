"""What the verdict consists of."""

from dataclasses import dataclass
from enum import StrEnum


class Weight(StrEnum):
    """How much a finding counts."""

    REFUSES = "refuses"
    """The new version must not replace the old one."""
    REFUSES_IF_NEEDED = "refuses if needed"
    """It must not where something in the target needs the finding's symbol."""
    NOTE = "note"
    """Worth knowing; it does not stand in the way."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between two versions, with its evidence.

    `rule` names the rule that found it; `symbol` is the `(name, version)` that it is about, where it is about one.
    """

    rule: str
    weight: Weight
    text: str
    symbol: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a version may replace another: it may, where no finding refuses."""

    findings: tuple[Finding, ...]

    def refusals(self, needed: frozenset[str]) -> tuple[Finding, ...]:
        """The findings that stand in the way in a target whose other objects refer to the names `needed`."""
        return tuple(
            finding
            for finding in self.findings
            if finding.weight is Weight.REFUSES
            or (finding.weight is Weight.REFUSES_IF_NEEDED and finding.symbol and finding.symbol[0] in needed)
        )

    @property
    def may_depend_on_target(self) -> bool:
        return any(finding.weight is Weight.REFUSES_IF_NEEDED for finding in self.findings)


def describe(findings: tuple[Finding, ...]) -> str:
    """The first finding in words, the rest counted."""
    more = len(findings) - 1
    return findings[0].text + (f" (and {more} more)" if more > 0 else "")
