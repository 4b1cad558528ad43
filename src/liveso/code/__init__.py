"""The code of an image: its functions, their references to variables, and what they call in other libraries."""

from liveso.code.functions import functions
from liveso.code.imports import asks_for_next_definition
from liveso.code.references import References, data_references

__all__ = ["References", "asks_for_next_definition", "data_references", "functions"]
