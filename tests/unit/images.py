"""Libraries whose headers and tables say what they should not."""

import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liveso.elf import Image, read_image, tables

TEXT = """
#include <stdlib.h>
static int counts[4] = {1, 2, 3}; static int *places[3] = {counts, 0, counts + 2}; static __thread int seen = 3;
static int large[1000]; int one(int x) { return counts[x & 3]++ + large[x & 7]; }
int two(int x) { return *places[x & 1] + seen++; } void *make(void) { return malloc(48); } int level = 4;
"""
VERSIONS = "ONE { global: one; make; local: *; }; TWO { global: two; level; } ONE;\n"


def compile_library(folder: Path, *flags: str, text: str = TEXT) -> bytes:
    script, path = folder / "versions.map", folder / "whole.so"
    script.write_text(VERSIONS)
    command = ["gcc", "-O1", "-shared", "-fPIC", f"-Wl,--version-script={script}", "-Wl,-soname,libwhole.so", *flags]
    subprocess.run([*command, "-x", "c", "-", "-o", str(path)], input=text, text=True, check=True)
    return path.read_bytes()


@dataclass
class Editor:
    """Sets numbers in the headers and tables of a library."""

    content: bytearray

    @property
    def image(self) -> Image:
        return read_image(bytes(self.content))

    def set_row(self, kind: np.dtype[np.void], row: int, /, **values: int) -> None:
        assert kind.fields
        for name, value in values.items():
            part, place = kind.fields[name][:2]
            size = part.itemsize
            start = row + place
            self.content[start : start + size] = (value % (1 << 8 * size)).to_bytes(size, "little")

    def header(self, **values: int) -> None:
        self.set_row(tables.HEADER, 0, **values)

    def segment(self, kind: int, **values: int) -> None:
        header = np.frombuffer(self.content, tables.HEADER, 1)[0]
        rows = np.frombuffer(self.content, tables.SEGMENT, int(header["segment_count"]), int(header["segments"]))
        index = np.flatnonzero(rows["type"] == kind)[-1]
        offset = int(header["segments"]) + int(index) * tables.SEGMENT.itemsize
        del rows
        self.set_row(tables.SEGMENT, offset, **values)

    def section(self, whole: Image, name: str, **values: int) -> None:
        index = next(index for index, it in enumerate(whole.sections) if it.name == name)
        offset = int(np.frombuffer(whole.content, tables.HEADER, 1)[0]["sections"])
        self.set_row(tables.SECTION, offset + index * tables.SECTION.itemsize, **values)

    def dynamic(self, whole: Image, tag: int, value: int) -> None:
        index = int(np.flatnonzero(whole.dynamic["tag"] == tag)[0])
        self.set_row(tables.DYNAMIC, whole.dynamic_offset + index * tables.DYNAMIC.itemsize, value=value)

    def in_section(self, whole: Image, name: str, at: int, number: int, size: int = 4) -> None:
        section = whole.section(name)
        assert section is not None
        self.content[section.offset + at : section.offset + at + size] = struct.pack(
            {2: "<H", 4: "<I", 8: "<Q"}[size], number % (1 << 8 * size)
        )


Edit = Callable[[Editor, Image], None]
