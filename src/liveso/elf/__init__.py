"""Images of ELF shared libraries: segments, sections, symbols, relocations, and the constants of each machine."""

from liveso.elf.image import Image, Section, Symbol, once_per_image
from liveso.elf.reading import read_image, read_sections, version_needs
from liveso.elf.text import printable

__all__ = [
    "Image",
    "Section",
    "Symbol",
    "once_per_image",
    "printable",
    "read_image",
    "read_sections",
    "version_needs",
]
