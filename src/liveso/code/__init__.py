"""The code of an image: its functions and their references to variables."""

from liveso.code.functions import functions
from liveso.code.references import References, data_references

__all__ = ["References", "data_references", "functions"]
