"""The types of a version, from its debug information (DWARF), wherever that is: in the file, in a separate one by build
ID or debug link, or on a debuginfod server."""

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from liveso.debug.debug_files import DebugSource
from liveso.debug.type_forms import (
    COMPOUND,
    UNKNOWN,
    Member,
    form_of,
    has_no_name,
    members_of,
    shown_as,
    type_of,
    types_of,
)
from liveso.debug.type_reader import drgn
from liveso.elf import Image, read_sections
from liveso.elf.compression import check_compressed, uncompressed
from liveso.elf.data import data_layout
from liveso.errors import ImageError

logging.getLogger("drgn").setLevel(logging.CRITICAL)

_PLATFORMS = {
    "x86-64": drgn.Architecture.X86_64,
    "aarch64": drgn.Architecture.AARCH64,
    "riscv64": drgn.Architecture.RISCV64,
}
_INLINE = re.compile(rb"(\w{1,64})\0")
_NAME = re.compile(r"[A-Za-z_]\w*")
_NAMES_PER_BYTE, _LONGEST_NAME = 64, 4096  # in a table of strings; bytes
_MOST_STEPS = 1 << 20  # from type to type: about ten seconds
_RUST = b"rustc version"
_PATH = re.compile(rb"\b[A-Za-z_]\w*(?:::[A-Za-z_]\w*)+")
_NUMBERED = re.compile(r"\.\d+$")


@dataclass(frozen=True, slots=True)
class Layout:
    """A named type: a structure, union, class or enumeration. `size` is in bytes."""

    name: str
    size: int
    members: tuple[Member, ...]
    enumerators: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable in writable or thread-local memory: `offset` from the start of that, and `size`, in bytes. `form` is
    empty where its type is not known."""

    name: str
    offset: int
    size: int
    is_thread_local: bool
    form: str
    shown: str


@dataclass
class DebugInfo:
    """What debug information says of a version.

    `reachable` are the types that pass through functions or stand in variables, followed through pointers, `others` the
    rest, both by name: one name can stand for several types. `signatures` are the forms of the functions' results and
    parameters, `files` where it was found outside of the version itself.
    """

    reachable: dict[str, set[Layout]] = field(default_factory=dict)
    others: dict[str, set[Layout]] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    signatures: dict[str, tuple[str, ...]] = field(default_factory=dict)
    has_types: bool = False
    files: tuple[Path, ...] = ()

    @property
    def knows_all(self) -> bool:
        """Whether every member's type could be read."""
        layouts = [it for types in (self.reachable, self.others) for found in types.values() for it in found]
        return self.has_types and not any(UNKNOWN in member.form for it in layouts for member in it.members)


def is_numbered(name: str) -> bool:
    """Whether it is a static variable of a function, which the compiler numbers as they come: another version may have
    another number for it."""
    return bool(_NUMBERED.search(name))


def read_debug_info(image: Image, source: DebugSource, origin: str = "") -> DebugInfo:
    """All that is known of the variables and types of `image`, which lies in the folder `origin` if in any; without
    debug information, what `.symtab` names."""
    found = DebugInfo()
    if image.machine.name not in _PLATFORMS:
        return found
    try:
        check_compressed(image.content)
    except ImageError:
        return found
    program = drgn.Program(drgn.Platform(_PLATFORMS[image.machine.name]))
    module = _load(program, image, source, origin)
    found.has_types = module.debug_file_status == drgn.ModuleFileStatus.HAVE
    paths = (module.debug_file_path, module.supplementary_debug_file_path) if found.has_types else ()
    found.files = tuple(Path(path) for path in paths if path and Path(path).is_file())
    try:
        collector = _Collector(program, image, found)
        collector.collect(_names(image, found.files) if found.has_types else set())
        if found.has_types:
            collector.collect_in_modules(_paths_of_rust(image, found.files))
    except ImageError:
        return DebugInfo()  # its variables cannot be located, as data-layout says; or its strings or types have no end
    except Exception as error:  # damaged: drgn has one type for each cause; the code is judged instead
        logging.getLogger(__name__).debug("unreadable debug information: %s", error)
        return DebugInfo()
    return found


def _load(program: drgn.Program, image: Image, source: DebugSource, origin: str) -> drgn.Module:
    program.set_enabled_debug_info_finders(["standard", "debuginfod"] if source.asks else ["standard"])
    options = program.debug_info_options
    options.directories = source.folders
    options.try_procfs = options.try_module_name = False
    if not hasattr(options, "debug_link_directories"):  # drgn before 0.0.32, which takes the file for one in "/"
        options.directories = (*source.folders, *source.link_folders(origin))
        options.try_debug_link = bool(origin)
    elif origin:
        options.debug_link_directories = source.link_folders(origin)
    module = program.extra_module("library", 0, create=True)
    module.address_range = (0, 1 << 62)
    memory = os.memfd_create("liveso", os.MFD_CLOEXEC)
    written = 0
    while written < len(image.content):
        written += os.write(memory, image.content[written : written + (1 << 30)])
    try:
        module.try_file(image.soname or "library", fd=memory, force=True)
        if module.debug_file_status == drgn.ModuleFileStatus.WANT:
            program.load_module_debug_info(module)
    except Exception as error:  # damaged or missing debug information: drgn has one type for each cause
        logging.getLogger(__name__).debug("no debug information: %s", error)
    return module


def _names(image: Image, files: tuple[Path, ...]) -> set[str]:
    """Every string in the debug information that may be a name.

    Linkers merge a string that is another one's end (`.debug_str` has SHF_MERGE and SHF_STRINGS, gABI): so whatever an
    entry may refer to is one, too.
    """
    names: set[str] = set()
    strings: list[bytes] = []
    references: list[bytes] = []
    for content in (image.content, *(it.read_bytes() for it in files)):
        strings.extend(_data(content, ".debug_str"))
        references.extend((*_data(content, ".debug_info"), *_data(content, ".debug_str_offsets")))
    for run in {run for entries in references for run in _INLINE.findall(entries)}:  # short names stand in the entries
        text = run.decode()
        names.update(text[start:] for start in range(len(text)))
    for table in strings:
        names.update(_referenced_names(table, references))
    return {name for name in names if _NAME.fullmatch(name)}


def _paths_of_rust(image: Image, files: tuple[Path, ...]) -> set[str]:
    """The names with their modules in a version that rustc has compiled: of each type to which something points, or
    that is an argument of another one, there is a text that has its name so (`&mut account::Account`)."""
    tables = [
        it for content in (image.content, *(it.read_bytes() for it in files)) for it in _data(content, ".debug_str")
    ]
    if not any(_RUST in it for it in tables):
        return set()
    return {path.decode() for table in tables for path in _PATH.findall(table)}


def _data(content: bytes, name: str) -> list[bytes]:
    """The sections of a name. Raises ImageError where they cannot be read."""
    names = (name, name.replace(".debug", ".zdebug"))
    return [uncompressed(content, it) for it in read_sections(content) if it.name in names and it.has_bytes]


def _referenced_names(strings: bytes, references: list[bytes]) -> Iterator[str]:
    """The strings of a table that begin where some four bytes of `references` say."""
    is_start = np.frombuffer(b"\0" + strings[:-1], np.uint8) == 0
    for entries in references:
        for shift in range(4):
            numbers = np.frombuffer(entries[shift : len(entries) - (len(entries) - shift) % 4], "<u4")
            is_start[numbers[numbers < len(strings)]] = True
    room = _NAMES_PER_BYTE * len(strings)
    for start in np.flatnonzero(is_start).tolist():
        end = strings.find(b"\0", start, start + _LONGEST_NAME)
        if end >= 0:
            room -= end - start
            if room < 0:
                raise ImageError("the names in its debug information overlap")
            yield strings[start:end].decode("utf-8", "replace")


class _Collector:
    def __init__(self, program: drgn.Program, image: Image, found: DebugInfo) -> None:
        self._program = program
        self._image = image
        self._found = found
        self._seen: set[tuple[object, ...]] = set()
        self._steps = 0

    def collect(self, names: set[str]) -> None:
        span = data_layout(self._image).span
        file = ""
        functions: set[str] = set()
        ambiguous: set[str] = set()
        for symbol in self._program.symbols():
            if symbol.kind == drgn.SymbolKind.FILE:
                file = symbol.name
            elif symbol.kind == drgn.SymbolKind.FUNC:
                functions.add(symbol.name)
            elif symbol.kind == drgn.SymbolKind.TLS or (
                symbol.kind == drgn.SymbolKind.OBJECT and span.start <= symbol.address < span.stop
            ):
                self._variable(symbol, file, span.start, ambiguous)
        for name in ambiguous:
            self._found.variables.pop(name, None)
        for name in functions | names:
            self._function(name)
        for name in names:
            for kind in ("struct ", "union ", "class ", "enum ", ""):
                try:
                    found = self._program.type(kind + name)
                except Exception:  # no type of that name, or one that drgn cannot represent
                    continue
                self._walk(found, self._found.others)
        for name, layouts in self._found.reachable.items():
            self._found.others.get(name, set()).difference_update(layouts)

    def collect_in_modules(self, paths: set[str]) -> None:
        """Take in the types that names with `::` stand for, which drgn reads as those of C++ only. Something points to
        them, or has them as an argument."""
        self._program.language = drgn.Language.CPP
        for path in sorted(paths):
            try:
                found = self._program.type(path)
            except Exception:  # no type of that name, or one that drgn cannot represent
                continue
            self._walk(found, self._found.reachable)

    def _variable(self, symbol: drgn.Symbol, file: str, start: int, ambiguous: set[str]) -> None:
        is_thread_local = symbol.kind == drgn.SymbolKind.TLS
        form = shown = ""
        if symbol.name in self._found.variables:
            ambiguous.add(symbol.name)
        if self._found.has_types:
            type_ = self._type_of_variable(symbol.name, file)
            if type_ is not None:
                form, shown = form_of(type_), shown_as(type_)
                self._walk(type_, self._found.reachable)
        offset = symbol.address - (0 if is_thread_local else start)
        self._found.variables[symbol.name] = Variable(symbol.name, offset, symbol.size, is_thread_local, form, shown)

    def _type_of_variable(self, name: str, file: str) -> drgn.Type | None:
        for filename in (file, None):
            try:
                return self._program.variable(name, filename).type_
            except Exception:  # drgn knows no variable of that name, or cannot read its place: the next may do
                continue
        return None

    def _function(self, name: str) -> None:
        try:
            type_ = self._program.function(name).type_
        except Exception:  # no function of that name; drgn has several types for this
            return
        self._found.signatures[name] = (
            form_of(type_of(type_)),
            *(form_of(type_of(it)) for it in type_.parameters),
            *(("...",) if type_.is_variadic else ()),
        )
        self._walk(type_, self._found.reachable)

    def _walk(self, start: drgn.Type, into: dict[str, set[Layout]]) -> None:
        """Take in every named type that `start` leads to."""
        waiting = [start]
        while waiting:
            self._steps += 1
            if self._steps > max(_MOST_STEPS, len(self._image.content)):
                raise ImageError("its types lead to each other without end")
            try:
                waiting.extend(self._step(waiting.pop(), into))
            except Exception:  # a type that drgn cannot represent, of which it has several kinds: go on with the rest
                continue

    def _step(self, it: drgn.Type, into: dict[str, set[Layout]]) -> list[drgn.Type]:
        """Take in one type, and return those that it leads to."""
        if it.kind == drgn.TypeKind.TYPEDEF and has_no_name(it.type):
            into.setdefault(it.name, set()).add(Layout(it.name, it.type.size, members_of(it.type)))
        if it.kind in (drgn.TypeKind.POINTER, drgn.TypeKind.ARRAY, drgn.TypeKind.TYPEDEF):
            return [it.type]
        if it.kind == drgn.TypeKind.FUNCTION:
            return types_of([it, *it.parameters])
        if it.kind in COMPOUND and it.is_complete():
            members = members_of(it)
            key = (id(into), it.kind, it.tag, it.size, members)
            if key not in self._seen:
                self._seen.add(key)
                if it.tag:
                    name = f"{it.kind.name.lower()} {it.tag}"
                    into.setdefault(name, set()).add(Layout(name, it.size, members))
                return types_of(it.members)
        elif it.kind == drgn.TypeKind.ENUM and it.is_complete() and it.tag:
            name = f"enum {it.tag}"
            values = tuple((enumerator.name, enumerator.value) for enumerator in it.enumerators)
            into.setdefault(name, set()).add(Layout(name, it.type.size, (), values))
        return []
