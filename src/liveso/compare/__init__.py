"""Two versions: which function, variable, constant and table is which, and how they differ. What that means for an
update, the verdict says."""

from liveso.compare.correspondence import Correspondence, Piece, SameFunction
from liveso.compare.matching import Matching, match_functions

__all__ = ["Correspondence", "Matching", "Piece", "SameFunction", "match_functions"]
