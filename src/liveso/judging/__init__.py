"""Verdicts over pairs in the store, made by processes of their own, each once."""

from liveso.judging.analyst import Analyst
from liveso.judging.workers import Workers

__all__ = [
    "Analyst",
    "Workers",
]
