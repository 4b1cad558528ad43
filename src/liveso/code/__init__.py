"""The code of an image: its functions, their references to variables, and what they call in other libraries."""

from liveso.code.allocators import Allocators
from liveso.code.functions import functions
from liveso.code.imports import asks_for_next_definition
from liveso.code.instructions import Instruction, Place, Reader
from liveso.code.matching import Matching, match_functions
from liveso.code.references import References, data_references

__all__ = [
    "Allocators",
    "Instruction",
    "Matching",
    "Place",
    "Reader",
    "References",
    "asks_for_next_definition",
    "data_references",
    "functions",
    "match_functions",
]
