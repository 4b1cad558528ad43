"""Whether one version of a library may replace another in a running process."""

from liveso.compare.summary import Summary, summarise
from liveso.debug.debug_files import DebugSource
from liveso.verdict.analysis import PairAnalysis, analyse_pair
from liveso.verdict.finding import Finding, Policy, Verdict, Weight, describe
from liveso.verdict.judge import judge
from liveso.verdict.kept import KeptVerdicts
from liveso.verdict.rules_version import rules_version

__all__ = [
    "DebugSource",
    "Finding",
    "KeptVerdicts",
    "PairAnalysis",
    "Policy",
    "Summary",
    "Verdict",
    "Weight",
    "analyse_pair",
    "describe",
    "judge",
    "rules_version",
    "summarise",
]
