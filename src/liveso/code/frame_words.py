"""What words of a function's own frame hold: a pointer that a register had, and will have again (x86-64).

Words are known by their distance from the stack pointer at the entry. The address of one that is formed lets others
write it: from there on, words are not followed, for it may be the address of a structure.
"""

from collections.abc import Iterator, Mapping

from liveso.code.form import Form, Operation
from liveso.code.operations import parts, terms
from liveso.code.origin import Origin
from liveso.machine import Machine

WORD = "@"
"""With what the names of words begin."""
DEPTH = "@depth"
"""How far the stack pointer is below what it was at the entry, as the number of an origin."""


class FrameWords:
    """Follows the words of one function's frame."""

    def __init__(self, machine: Machine) -> None:
        self._machine, self._stack = machine, machine.stack_pointer
        self._limit: int | None = None
        self._taken: int | None = None
        self._is_lost = False

    def restricts(self) -> bool:
        """Whether addresses were formed, so that fewer words can be followed than were."""
        self._limit = self._taken
        return self._is_lost or self._taken is not None

    def effects(self, form: Form, known: Mapping[str, Origin]) -> Iterator[tuple[str, Origin | None]]:
        """What an instruction leaves in words, and in registers from words."""
        depth = known.get(DEPTH)
        name, operands = parts(form.outline)
        if self._is_lost:
            return
        if name and name in (self._machine.push, self._machine.pop):
            yield from self._moved(name, operands, depth, known)
            return
        self._take(form, name, operands, depth)
        if self._stack in form.written:
            yield DEPTH, self._adjusted(form, name, depth)
            return
        if form.base != self._stack or form.operation in (Operation.ADDRESS, Operation.CALL):
            return
        yield from self._accessed(form, depth, known)

    def _moved(
        self, name: str, operands: tuple[str, ...], depth: Origin | None, known: Mapping[str, Origin]
    ) -> Iterator[tuple[str, Origin | None]]:
        word = self._machine.word
        if depth is None:
            if name == self._machine.push:
                yield from self._forgotten(known)
            return
        if name == self._machine.push:
            self._is_lost |= self._stack in operands
            below = depth.number + word
            yield DEPTH, depth._replace(number=below)
            yield self._name(-below), known.get(operands[0]) if self._is_followed(-below) else None
        else:
            yield DEPTH, depth._replace(number=depth.number - word)
            if (held := known.get(self._name(-depth.number))) is not None:
                yield operands[0], held

    def _take(self, form: Form, name: str, operands: tuple[str, ...], depth: Origin | None) -> None:
        """Note the address of a word that is formed."""
        if form.operation is Operation.ADDRESS and form.base == self._stack and self._stack not in form.written:
            if depth is None or _has_index(form):
                self._is_lost = True
            else:
                at = (form.displacement or 0) - depth.number
                self._taken = at if self._taken is None else min(at, self._taken)
        elif form.operation is not Operation.ADDRESS and self._stack in operands[1:]:
            self._is_lost |= name not in self._machine.asking

    def _adjusted(self, form: Form, name: str, depth: Origin | None) -> Origin | None:
        if depth is None:
            return None
        if form.operation is Operation.ADDRESS and form.base == self._stack and not _has_index(form):
            return depth._replace(number=depth.number - (form.displacement or 0))
        if name in ("add", "sub") and form.immediate is not None:
            return depth._replace(number=depth.number + (form.immediate if name == "sub" else -form.immediate))
        return None

    def _accessed(
        self, form: Form, depth: Origin | None, known: Mapping[str, Origin]
    ) -> Iterator[tuple[str, Origin | None]]:
        is_load = form.operation is Operation.MOVE and not form.is_store and form.width == self._machine.word
        if depth is None or _has_index(form):
            if form.is_store or not is_load:
                yield from self._forgotten(known)
            return
        at = (form.displacement or 0) - depth.number
        if is_load:
            held = known.get(self._name(at))
            if held is not None:
                yield from ((it, held) for it in form.written)
            return
        if not form.is_store and form.written:
            return  # reads it
        for other in range(at - self._machine.word + 1, at + max(form.width, self._machine.word)):
            if other != at and self._name(other) in known:
                yield self._name(other), None
        is_whole = form.operation is Operation.MOVE and form.width == self._machine.word and self._is_followed(at)
        yield self._name(at), known.get(form.source) if is_whole and form.source else None

    def _is_followed(self, at: int) -> bool:
        return self._limit is None or at + self._machine.word <= self._limit

    def _forgotten(self, known: Mapping[str, Origin]) -> Iterator[tuple[str, None]]:
        yield from ((it, None) for it in known if it.startswith(WORD) and it != DEPTH)

    def _name(self, at: int) -> str:
        return f"{WORD}{at}"


def _has_index(form: Form) -> bool:
    return len(terms(form) or ()) > 1
