"""The ELF layer: what the files themselves say about whether one version can replace another."""

from collections.abc import Iterator

from liveso.code import asks_for_next_definition
from liveso.compare.initial import Kind, changed_words
from liveso.compare.located_variables import different_places
from liveso.compare.thread_local import changed_starts, different_blocks
from liveso.elf import Image, Symbol, tables
from liveso.elf.data import data_layout
from liveso.errors import ImageError
from liveso.verdict.pair import Pair
from liveso.verdict.rule import Difference, counted, impossible, note, refuse, refuse_if_needed, rule

_SHOWN = 3  # doubts


@rule("machine")
def machine_stays(pair: Pair) -> Iterator[Difference]:
    """Code for another processor cannot run in the process."""
    if pair.old.machine != pair.new.machine:
        yield impossible(f"it is for {pair.new.machine.name}, the process runs on {pair.old.machine.name}")


@rule("soname")
def soname_stays(pair: Pair) -> Iterator[Difference]:
    """Another SONAME says that the interface is another one (gABI, "Shared Object Dependencies")."""
    if pair.old.soname != pair.new.soname:
        yield refuse(
            f"the SONAME changes from {pair.old.soname or 'none'} to {pair.new.soname or 'none'}: "
            "by that it says that its interface is another one"
        )


@rule("text-relocation")
def code_needs_no_relocation(pair: Pair) -> Iterator[Difference]:
    """Absolute addresses inside the code cannot be told from other bytes."""
    if pair.new.has_tag(tables.DT_TEXTREL) or pair.new.tag(tables.DT_FLAGS) & tables.DF_TEXTREL:
        yield impossible("its code has text relocations (build it with -fPIC)")


@rule("executable-stack")
def stack_stays_not_executable(pair: Pair) -> Iterator[Difference]:
    """Opening a library that asks for an executable stack makes all stacks of the process executable."""
    if _wants_executable_stack(pair.new) and not _wants_executable_stack(pair.old):
        yield refuse("it asks for an executable stack, which the version that runs does not")


def _wants_executable_stack(image: Image) -> bool:
    segment = image.segment(tables.PT_GNU_STACK)
    return segment is None or bool(int(segment["flags"]) & tables.PF_X)


# ld(1): addresses that it exports from some libraries by itself, each object for its own use
_LINKER_DEFINED = frozenset({"_init", "_fini", "_end", "_edata", "_etext", "__bss_start", "edata", "end", "etext"})


@rule("symbol-removed")
def symbols_stay(pair: Pair) -> Iterator[Difference]:
    """What another object refers to must be there, in the same version. Of a version as such the dynamic linker only
    asks, when it loads an object, the library that the process has loaded first."""
    for key, symbol in pair.old.defined.items():
        if pair.new.successor_of(symbol) or symbol.name in _LINKER_DEFINED:
            continue
        if symbol.section == tables.SHN_ABS and symbol.name == symbol.version:  # ld(1), "VERSION Command"
            yield note(f"the symbol version {symbol.name} is gone")
        else:
            yield refuse_if_needed(f"the symbol {symbol} is gone", key)


@rule("symbol-type")
def symbols_keep_their_type(pair: Pair) -> Iterator[Difference]:
    """A slot of a function holds code, one of a variable data, and a resolver is called where a function is not."""
    for old, new in _in_both(pair):
        if _type(old) != _type(new):
            yield refuse(f"the symbol {old} changes its type from {_type(old)} to {_type(new)}")


def _type(symbol: Symbol) -> str:
    names = {0: "none", tables.STT_OBJECT: "object", tables.STT_FUNC: "function", tables.STT_TLS: "thread-local object"}
    return {**names, tables.STT_GNU_IFUNC: "indirect function"}.get(symbol.type, f"type {symbol.type}")


@rule("symbol-binding")
def variables_keep_who_owns_them(pair: Pair) -> Iterator[Difference]:
    """A program may hold the only copy of an exported variable (R_COPY), unless it is protected; a unique one is the
    first that was loaded in the process (gABI, "Symbol Table"; GNU extensions to it)."""
    for old, new in _in_both(pair):
        if old.type not in (tables.STT_OBJECT, tables.STT_TLS):
            continue
        for name, before, after in (
            ("protected", *(it.visibility == tables.STV_PROTECTED for it in (old, new))),
            ("unique", *(it.binding == tables.STB_GNU_UNIQUE for it in (old, new))),
        ):
            if before != after:
                yield refuse(f"the exported variable {old} {'becomes' if after else 'is not any more'} {name}")


def _in_both(pair: Pair) -> Iterator[tuple[Symbol, Symbol]]:
    for old in pair.old.defined.values():
        new = pair.new.successor_of(old)
        if new is not None:
            yield old, new


@rule("object-size")
def objects_keep_their_size(pair: Pair) -> Iterator[Difference]:
    """Who refers to an exported variable was compiled for its size; a program may hold a copy of it (R_COPY)."""
    for old, new in _in_both(pair):
        if old.type in (tables.STT_OBJECT, tables.STT_TLS) and old.size != new.size:
            yield refuse(f"the exported variable {old} changes from {old.size} to {new.size} bytes")


@rule("data-layout")
def variables_are_found_again(pair: Pair) -> Iterator[Difference]:
    """New code is led to where the old version put its variables: it must be certain which is which."""
    try:
        layouts = data_layout(pair.old), data_layout(pair.new)
        for before, after in _in_both(pair):
            if before.type == tables.STT_OBJECT and layouts[0].holds(before.value) != layouts[1].holds(after.value):
                kinds = ("variable", "constant") if layouts[0].holds(before.value) else ("constant", "variable")
                yield impossible(f"the exported {kinds[0]} {before} becomes a {kinds[1]}")
        if pair.variables.have_same_layout:
            return
        correspondence = pair.variables.shared
    except ImageError as error:
        yield impossible(f"its variables cannot be located: {error}")
        return
    if correspondence is None:
        why = next(different_places(pair.old, pair.new))
        for doubt in pair.variables.matched.doubts[:_SHOWN]:
            yield impossible(f"it is not certain which variable is which: {doubt}; {why}")
    else:
        moved = sum(it.old is not None and it.old != it.start for it in correspondence.pieces)
        yield note(
            f"variables moved ({counted(moved, 'piece')}, {counted(correspondence.new_bytes, 'new byte')}): "
            "its code is led to them"
        )


@rule("initial-pointer")
def initial_pointers_keep_their_meaning(pair: Pair) -> Iterator[Difference]:
    """A word that starts as the address of something tells what variable it is in: one that leads elsewhere, or that
    comes where another goes, is a variable that moved. One that only starts, or stops, to be null changed its value."""
    try:
        if pair.variables.shared is None:
            return  # data-layout says it
        changes = changed_words(pair.old, pair.new, pair.variables.shared)
    except ImageError:
        return  # data-layout says it
    starts = [change for change in changes if change.old.kind is Kind.PLAIN is not change.new.kind]
    stops = [change for change in changes if change.new.kind is Kind.PLAIN is not change.old.kind]
    for change in changes:
        place = f"the word at +{change.at:#x} of the writable data"
        kinds = {change.old.kind, change.new.kind}
        if change in starts or change in stops:
            plain = change.old if change in starts else change.new
            if Kind.SYMBOL in kinds or plain.value or (starts and stops):
                yield refuse(f"{place} {'starts' if change in starts else 'stops'} to be an address")
            else:
                yield note(f"{place} {'is an address now, was null' if change in starts else 'is null now'}")
        elif len(kinds) > 1:
            yield refuse(f"{place} becomes the address of something of another kind")
        elif kinds & {Kind.OWN_VARIABLE, Kind.NEW_VARIABLE, Kind.SYMBOL}:
            was, becomes = (it.symbol or f"+{it.value:#x}" for it in (change.old, change.new))
            yield refuse(f"{place} leads to {becomes} instead of {was}")


@rule("transactional-memory")
def no_clones_are_registered(pair: Pair) -> Iterator[Difference]:
    """The table of transactional clones is handed over by an initialiser (libitm ABI), which does not run."""
    old, new = (it.section(".tm_clone_table") for it in (pair.old, pair.new))
    if new is not None and new.size and (old is None or old.size != new.size):
        yield refuse("its table of transactional clones (.tm_clone_table) is another one, and would not be registered")


@rule("tls-block")
def thread_local_variables_are_found_again(pair: Pair) -> Iterator[Difference]:
    """Threads that run have a block of the old version's shape: new code is led to the variables in it, and new ones
    get a block of their own (ELF TLS, 3.4)."""
    try:
        thread_locals, data = pair.variables.each_thread, pair.variables.shared
        if thread_locals is None:
            why = next(different_blocks(pair.old, pair.new))
            for doubt in pair.variables.matched_of_each_thread.doubts[:_SHOWN]:
                yield impossible(f"it is not certain which thread-local variable is which: {doubt}; {why}")
            return
        if data is None:
            return  # data-layout says it
        changed = next(changed_starts(pair.old, pair.new, thread_locals, data), None)
    except ImageError as error:
        yield impossible(f"its thread-local variables cannot be located: {error}")
        return
    if changed is not None:
        yield impossible(
            f"the thread-local variable at +{changed:#x} changes its initial value, which threads to come would not get"
        )
    if not thread_locals.is_same_layout:
        moved = sum(it.old is not None and it.old != it.start for it in thread_locals.pieces)
        yield note(
            f"thread-local variables moved ({counted(moved, 'piece')}, "
            f"{counted(thread_locals.new_bytes, 'new byte')}): its code is led to them"
        )


@rule("relocation")
def relocations_are_known(pair: Pair) -> Iterator[Difference]:
    """A relocation of a type that liveso does not know may refer to a variable."""
    machine = pair.new.machine
    known = machine.slot_relocations | machine.tls_relocations | {machine.none}
    for number in sorted(set(pair.new.relocations["type"].tolist()) - known):
        yield impossible(f"it has relocations of type {number}, which liveso does not know")


@rule("undecoded-code")
def code_can_be_decoded(pair: Pair) -> Iterator[Difference]:
    """Each reference to a variable must be found: one that is missed works on a variable of its own."""
    try:
        found = pair.code.references
    except ImageError as error:
        yield impossible(f"its references to variables cannot be found: {error}")
        return
    if found.undecoded:
        yield impossible(f"its code cannot be decoded at {found.undecoded[0]:#x}, where a variable may be referred to")
    if found.unclear and pair.new.machine.code_words is not None:
        yield impossible(
            f"the page that the instruction at {found.unclear[0]:#x} forms cannot be followed to where the rest of an "
            "address is added to it, so that a reference to a variable, constant or function may be missed"
        )
    elif found.unclear:
        yield impossible(
            f"the instruction at {found.unclear[0]:#x} forms an address in the linker's tables, from which code may go "
            "on to a variable that cannot be told (as it does if compiled with -mcmodel=medium)"
        )
    if pair.new.segment(tables.PT_GNU_EH_FRAME) is None and found.outside:
        yield impossible("it has no unwind table (.eh_frame_hdr), so its functions cannot be told apart")
    elif found.doubtful:
        yield note(
            f"{counted(found.doubtful, 'place')} in hand-written assembly (code without unwind entries) may refer to a "
            "variable in a way that cannot be decoded: such code would read the value of the moment of the update, and "
            "what it writes would be lost"
        )
    elif found.outside:
        yield note(
            f"{counted(found.outside, 'reference')} to variables in hand-written assembly, without unwind entries, "
            "decoded from its start, will lead to the old variables"
        )


@rule("needed")
def dependencies_are_there(pair: Pair) -> Iterator[Difference]:
    """New dependencies are loaded with the new version, and their initialisers run then."""
    for name in pair.new.needed:
        if name not in pair.old.needed:
            yield note(f"it needs {name}, which the old version does not")


@rule("initialiser")
def initialisers_do_not_run(pair: Pair) -> Iterator[Difference]:
    """A constructor runs once a process, not once a version."""
    sizes = [image.tag(tables.DT_INIT_ARRAYSZ) // image.machine.word for image in (pair.old, pair.new)]
    if sizes[0] != sizes[1]:
        yield note(f"it has {counted(sizes[1], 'constructor')} instead of {sizes[0]}; none runs in an update")


@rule("next-definition")
def next_definition_is_not_asked_for(pair: Pair) -> Iterator[Difference]:
    """`dlsym` with RTLD_NEXT goes on behind its caller in the order of loading (dlsym(3)): code that was opened later
    has another place there."""
    if asks_for_next_definition(pair.new):
        yield refuse("it looks up the next definition of a symbol (RTLD_NEXT), and would look in other libraries")


RULES = (
    machine_stays,
    soname_stays,
    code_needs_no_relocation,
    stack_stays_not_executable,
    symbols_stay,
    symbols_keep_their_type,
    variables_keep_who_owns_them,
    no_clones_are_registered,
    objects_keep_their_size,
    variables_are_found_again,
    initial_pointers_keep_their_meaning,
    thread_local_variables_are_found_again,
    relocations_are_known,
    code_can_be_decoded,
    next_definition_is_not_asked_for,
    dependencies_are_there,
    initialisers_do_not_run,
)
