"""Whether a stopped thread can be made to call `dlopen`, and whatever that needs, as if it had called it by itself.

What must not be: that the call waits for a lock that the thread itself holds, or finds data half changed that the
thread was changing. The dynamic linker and the allocator have such locks and data, and so have many functions of libc
that use both. So a thread is at a safe point where all its frames are of other code, but for the functions that started
it, and one that waits in a system call without holding anything (safe_calls.py).

What a call changes that the thread can see afterwards is not judged here, but is the visitor's to put back: `errno`,
the result that `dlerror` will return, signal masks.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from liveso.code.mask import displacements
from liveso.machine import Machine
from liveso.process.kinds import CLONE, START, Kind, Kinds
from liveso.process.mapped import MappedObject, MappedObjects
from liveso.process.memory import Unreadable
from liveso.process.safe_calls import CLOCKS, LETS_SIGNALS_COME, LOCKS, STREAMS, TRANSFERS, WAITS
from liveso.process.unwind import Frame, Stack
from liveso.process.waiting import is_at_system_call, waits_by_itself

_LARGEST_FUNCTION = 4096  # bytes
_LIBRARY_CALLS = WAITS | TRANSFERS | LETS_SIGNALS_COME | LOCKS | STREAMS


def unsafe(stack: Stack, call: int | None, objects: MappedObjects, registers: bytes) -> str:
    """Why a thread with this stack, which is in the system call `call` or in none, is not at a safe point; empty where
    it is at one. The text goes on from "the thread is "."""
    try:
        if not stack.is_complete:
            if call is not None and waits_by_itself(registers, objects):
                return ""
            return f"at a place that is not known to its oldest frame: {stack.reason}"
        return _Judge(objects).reason(stack.frames, call)
    except Unreadable as error:
        return f"in code that is not known: {error}"


class _Judge:
    def __init__(self, objects: MappedObjects) -> None:
        self._objects = objects
        self._kinds = Kinds(objects)

    def reason(self, frames: Sequence[Frame], call: int | None) -> str:
        """The frames from one signal to the next are judged by themselves: what a signal interrupted must have been a
        safe point, too."""
        is_in_call, first = call is not None, 0
        borders = [index for index, it in enumerate(frames) if it.is_signal_frame]
        for border in (*borders, len(frames)):
            part, is_oldest = frames[first:border], border == len(frames)
            if not is_oldest and self._kinds.of(frames[border].image) not in (Kind.LIBC, Kind.KERNEL, Kind.OTHER):
                return f"in a signal handler of {frames[border].image.name}"
            if reason := self._reason_in(part, is_in_call, call, is_oldest):
                return reason + (", which a signal interrupted" if first else "")
            first, call = border + 1, None
            is_in_call = not is_oldest and is_at_system_call(frames[first].pc, self._objects)
        return ""

    def _reason_in(self, frames: Sequence[Frame], is_in_call: bool, call: int | None, is_oldest: bool) -> str:
        kinds = self._kinds_of(frames)
        for unwanted in (Kind.LINKER, Kind.ALLOCATOR):
            if unwanted in kinds:
                return f"inside {self._name(frames[kinds.index(unwanted)])}, {unwanted.value}"
        end = len(frames)
        if is_oldest:
            end = self._start(frames, kinds)
            if end < 0:
                return f"on a stack that {self._name(frames[-1])} began, and not the start of a program or thread"
        first = next((index for index in range(end) if kinds[index] != Kind.KERNEL), end)
        has_asked_kernel = first > 0
        if is_oldest and first == end:
            return f"at the start or end of its life, inside {self._name(frames[first])}"
        called = next((index for index in range(first, end) if kinds[index] != Kind.LIBC), end)
        for index in range(called, end):
            if kinds[index] in (Kind.LIBC, Kind.KERNEL):
                last = next((it for it in range(index, end) if kinds[it] != kinds[index]), end) - 1
                return f"called back by {self._name(frames[last])}"
        names = self._names_of_call(frames[called - 1]) if called > first else frozenset()
        if Kind.ALLOCATING_PROGRAM in kinds[:end] and not (is_in_call and names & WAITS):
            program = frames[kinds.index(Kind.ALLOCATING_PROGRAM)]
            return f"inside {self._name(program)}, {Kind.ALLOCATING_PROGRAM.value}, and does not wait for events"
        if called == first:
            return ""
        return self._reason_of_call(frames[called - 1], names, is_in_call, call, has_asked_kernel)

    def _kinds_of(self, frames: Sequence[Frame]) -> list[Kind]:
        """A function that has the name of the one of libc which it calls stands in front of that, and is no allocator's
        (the sanitizers of compilers)."""
        kinds = [self._kinds.of(it.image) for it in frames]
        for index, (called, frame) in enumerate(pairwise(frames), 1):
            is_in_front = kinds[index - 1 : index + 1] == [Kind.LIBC, Kind.ALLOCATOR]
            if is_in_front and self._names(frame) & self._names_of_call(called) & _LIBRARY_CALLS:
                kinds[index] = Kind.OTHER
        return kinds

    def _reason_of_call(
        self, frame: Frame, names: frozenset[str], is_in_call: bool, call: int | None, has_asked_kernel: bool
    ) -> str:
        """Why a function of libc that other code called is not to be interrupted."""
        facts = self._objects.machine.frames
        if has_asked_kernel:
            return "" if names & CLOCKS else f"inside {self._name(frame)}"
        if not is_in_call or not names & _LIBRARY_CALLS:
            return f"inside {self._name(frame)}" + (", between system calls" if names & _LIBRARY_CALLS else "")
        if names & LOCKS and (facts is None or call not in facts.futex):
            return f"inside {self._name(frame)}, in another system call than the one it waits in"
        if names & STREAMS and not names & TRANSFERS and (facts is None or call not in facts.transfers):
            return f"inside {self._name(frame)}, in another system call than those that move what a stream holds"
        return ""

    def _start(self, frames: Sequence[Frame], kinds: Sequence[Kind]) -> int:
        """The index of the oldest frames, which glibc starts a program or thread with: the program's entry,
        `__libc_start_main`, and a function of libc's that is not exported; or `clone` or the like, and such a function.
        -1 where there is something else."""
        end = len(frames) - (kinds[-1] != Kind.LIBC)
        if end < 1 or kinds[end - 1] != Kind.LIBC:
            return -1
        names, is_thread = self._names(frames[end - 1]), end == len(frames)
        if (is_thread and not names <= CLONE) or (not is_thread and START not in names):
            return -1
        end -= 1
        has_second = end > 0 and kinds[end - 1] == Kind.LIBC and not self._names(frames[end - 1])
        if is_thread and not has_second:
            return -1  # `makecontext`: what was left for it is on another stack
        return end - has_second

    def _names(self, frame: Frame) -> frozenset[str]:
        """Those of the exported function that a frame is of."""
        return self._kinds.exports(frame.image).functions_at(frame.place)

    def _names_of_call(self, frame: Frame) -> frozenset[str]:
        """Those of the function of libc that other code called. Some (sem_wait, pthread_join) end with a jump to one
        that is not exported and does the rest: its frame is then in their place."""
        if names := self._names(frame):
            return names
        return frozenset(name for name in LOCKS if self._jumps(frame.image, name, frame.function))

    def _jumps(self, image: MappedObject, name: str, target: int) -> bool:
        """Whether what is defined by `name` has the bytes of a branch to `target`."""
        contents = (
            (self._objects.memory.content(code.start, min(len(code), _LARGEST_FUNCTION)), code.start)
            for code in self._kinds.exports(image).definitions(name)
        )
        return any(_has_branch(self._objects.machine, content, start, target) for content, start in contents)

    def _name(self, frame: Frame) -> str:
        names = sorted(self._names_of_call(frame), key=lambda it: (it.startswith("_"), len(it), it))
        image = frame.image
        return f"{names[0] if names else f'{frame.pc - image.base:#x}'} of {image.name}"


def _has_branch(machine: Machine, content: bytes, start: int, target: int) -> bool:
    """Whether code at an address has the bytes of a branch to `target`, which is no call."""
    if machine.code_words:
        words = machine.code_words(content, start)
        return bool(((words.target == target) & ~words.calls).any())
    opcodes = tuple(it for it in machine.branch_opcodes if it != machine.call_opcode)
    numbers = displacements(content).astype("<i8")
    ends = np.arange(len(numbers)) + machine.displacement_size
    return any(content[:at].endswith(opcodes) for at in np.flatnonzero(numbers + ends == target - start).tolist())
