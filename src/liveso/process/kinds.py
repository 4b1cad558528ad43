"""What the images of a process are to a thread that is to be let make a call: the dynamic linker, libc, an allocator,
or other code."""

import re
from enum import Enum

from liveso.process.exports import Exports
from liveso.process.mapped import MappedObject, MappedObjects

START, CLONE = "__libc_start_main", frozenset({"clone", "__clone"})
"""The functions by which glibc begins a program and a thread."""

_LINKER = re.compile(r"ld(?:-linux[^.]*|64)?\.so\.\d+$")  # glibc, sysdeps: ld.so's names on all processors
_LIBC = frozenset({"libc.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"})  # they were one before, and are again
_ALLOCATORS = ("malloc", "calloc", "realloc", "free")


class Kind(Enum):
    LINKER = "the dynamic linker"
    LIBC = "libc"
    KERNEL = "the kernel's code in the process (vdso(7))"
    ALLOCATOR = "an object with an allocator of its own"
    ALLOCATING_PROGRAM = "a program with an allocator of its own"
    OTHER = "other code"


class Kinds:
    """Raises Unreadable where an image's tables are not there or damaged."""

    def __init__(self, objects: MappedObjects) -> None:
        self._objects = objects
        self._exports: dict[MappedObject, Exports] = {}
        self._kinds: dict[MappedObject, Kind] = {}

    def of(self, image: MappedObject) -> Kind:
        if image not in self._kinds:
            self._kinds[image] = self._kind_of(image)
        return self._kinds[image]

    def exports(self, image: MappedObject) -> Exports:
        if image not in self._exports:
            self._exports[image] = Exports(self._objects.memory, image)
        return self._exports[image]

    def _kind_of(self, image: MappedObject) -> Kind:
        if image.is_vdso:
            return Kind.KERNEL
        exports = self.exports(image)
        name = exports.soname
        if _LINKER.match(name):
            return Kind.LINKER
        if name in _LIBC:
            return Kind.LIBC
        if any(exports.definitions(it) for it in _ALLOCATORS):
            return Kind.ALLOCATING_PROGRAM if image.is_program else Kind.ALLOCATOR
        return Kind.OTHER
