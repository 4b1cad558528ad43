"""Images of ELF shared libraries: segments, sections, symbols, relocations, and the constants of each machine."""

from liveso.elf.image import Image, Section, Symbol, once_per_image, read_image
from liveso.elf.machine import MACHINES, Machine

__all__ = ["MACHINES", "Image", "Machine", "Section", "Symbol", "once_per_image", "read_image"]
