"""Functions that take the size of an object: known ones, and those of a library that hand their argument on to one."""

from liveso.code.form import Operation
from liveso.code.functions import functions
from liveso.code.instructions import Code, Instruction, Place, Reader
from liveso.code.names import function_names
from liveso.elf import Image

SIZE_ARGUMENTS: dict[str, tuple[int, ...]] = {
    # malloc(3), posix_memalign(3), operator new (Itanium C++ ABI mangling)
    **dict.fromkeys(
        ("malloc", "valloc", "pvalloc", "_Znwm", "_Znam", "_ZnwmRKSt9nothrow_t", "_ZnamRKSt9nothrow_t"), (0,)
    ),
    **dict.fromkeys(("_ZnwmSt11align_val_t", "_ZnamSt11align_val_t"), (0,)),
    "calloc": (0, 1),
    "realloc": (1,),
    "reallocarray": (1, 2),
    "aligned_alloc": (1,),
    "memalign": (1,),
    "posix_memalign": (2,),
    # sized deallocation tells the size of an object, too
    **dict.fromkeys(("_ZdlPvm", "_ZdaPvm", "_ZdlPvmSt11align_val_t"), (1,)),
    # memory(3): what is cleared or copied whole
    **dict.fromkeys(("memset", "memcpy", "memmove", "mempcpy", "memcmp"), (2,)),
    **dict.fromkeys(("explicit_bzero", "bzero"), (1,)),
    **dict.fromkeys(("__memset_chk", "__memcpy_chk", "__memmove_chk"), (2,)),
    "qsort": (2,),
    "bsearch": (3,),
    # GLib, "Memory Allocation" and "Memory Slices"; APR; talloc; OpenSSL, OPENSSL_malloc(3); libgcrypt; CPython; GMP
    **dict.fromkeys(
        ("g_malloc", "g_malloc0", "g_try_malloc", "g_try_malloc0", "g_slice_alloc", "g_slice_alloc0"), (0,)
    ),
    **dict.fromkeys(("g_malloc_n", "g_malloc0_n"), (0, 1)),
    **dict.fromkeys(("g_realloc", "g_memdup", "g_memdup2", "apr_palloc", "apr_pcalloc"), (1,)),
    "g_slice_free1": (0,),
    **dict.fromkeys(("_talloc", "_talloc_zero", "_talloc_size"), (1,)),
    **dict.fromkeys(("CRYPTO_malloc", "CRYPTO_zalloc", "gcry_malloc", "gcry_calloc", "gcry_xmalloc"), (0,)),
    "CRYPTO_realloc": (1,),
    "CRYPTO_clear_free": (1,),
    **dict.fromkeys(("PyMem_Malloc", "PyMem_RawMalloc", "PyObject_Malloc", "xmlMalloc"), (0,)),
}
"""Which arguments, counted from 0, are sizes or counts of bytes, by the function's name."""

_DEEPEST = 4
_AS_FAR = 16  # instructions behind a call


class Allocators:
    """Finds out which arguments of a function are sizes of objects."""

    def __init__(self, image: Image, reader: Reader) -> None:
        self._reader = reader
        self._machine = image.machine
        self._ends = dict(functions(image).tolist())
        self._known = {
            address: SIZE_ARGUMENTS[name] for name, address in function_names(image).items() if name in SIZE_ARGUMENTS
        }

    def size_arguments(self, callee: Place, depth: int = 0) -> tuple[int, ...]:
        """The numbers of the arguments that are sizes, where `callee` is known or hands them on."""
        if callee.kind == "import":
            return SIZE_ARGUMENTS.get(callee.name.partition("@")[0], ())
        start = callee.offset
        if callee.kind != "function" or start not in self._ends or depth == _DEEPEST:
            return ()
        if start not in self._known:
            self._known[start] = ()  # a function that calls itself
            self._known[start] = self._handed_on(self._reader.read(start, self._ends[start]), depth)
        return self._known[start]

    def _handed_on(self, instructions: Code, depth: int) -> tuple[int, ...]:
        """Follow the arguments through moves between registers and the stack, up to calls that take a size."""
        holds = {register: index for index, register in enumerate(self._machine.argument_registers)}
        at_target: dict[int, dict[str, int]] = {}
        sizes: set[int] = set()
        is_reached = True
        for index, it in enumerate(instructions):
            if not is_reached:
                holds = at_target.get(it.address, holds)
            is_reached = it.operation not in (Operation.JUMP, Operation.RETURN)
            if it.is_call:
                for argument in self._sizes_given(instructions, index, it, depth):
                    given = holds.get(self._machine.argument_registers[argument])
                    if given is not None:
                        sizes.add(given)
                holds = {place: index for place, index in holds.items() if self._survives_call(place)}
            elif it.place is not None and it.place.kind == "own code":
                at_target.setdefault(it.place.offset, dict(holds))
            else:
                self._follow_move(it, holds)
        return tuple(sorted(sizes))

    def _sizes_given(self, code: Code, index: int, it: Instruction, depth: int) -> tuple[int, ...]:
        """The arguments of a call that are sizes. One by a pointer, as a program's own allocator is called, is given
        one where something is stored in what it returns."""
        if it.place is not None:
            return self.size_arguments(it.place, depth + 1)
        return (0,) if self._is_filled(code, index + 1) else ()

    def _is_filled(self, code: Code, start: int) -> bool:
        held = {self._machine.result_register}
        for form in code.forms[start : start + _AS_FAR]:
            if form.is_store and form.base in held:
                return True
            if form.operation in (Operation.CALL, Operation.RETURN):
                break
            is_copy = form.operation is Operation.MOVE and form.source in held
            held = held.union(form.written) if is_copy else held.difference(form.written)
        return False

    def _follow_move(self, it: Instruction, holds: dict[str, int]) -> None:
        form = it.form
        on_stack = f"{form.base}{form.displacement}" if form.base in self._stack_registers() else ""
        source = form.source or on_stack
        held = holds.get(source) if form.operation is Operation.MOVE and form.immediate is None else None
        if form.operation is Operation.ADDRESS and "+" not in form.outline and "*" not in form.outline:
            held = holds.get(form.base)  # room for something before the object, or behind it
        elif form.outline.startswith("add ") and form.immediate is not None and form.written:
            held = holds.get(form.written[0])
        for target in (*form.written, *((on_stack,) if form.is_store else ())):
            holds.pop(target, None)
            if held is not None and target:
                holds[target] = held

    def _stack_registers(self) -> tuple[str, str]:
        return self._machine.stack_pointer, self._machine.frame_pointer

    def _survives_call(self, place: str) -> bool:
        return place in self._machine.kept_registers or place.startswith(self._stack_registers())
