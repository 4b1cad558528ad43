"""System calls that threads wait in when they are stopped, and that are to go on as if there had been no stop."""

import errno
import struct
from dataclasses import dataclass
from pathlib import Path

from liveso.holder.facts import Facts
from liveso.holder.registers import PRSTATUS, read_registers, write_registers
from liveso.holder.threads import field_of, has_signal, system_call_of

_ERESTARTNOHAND = 514  # include/linux/errno.h of the kernel
_WORD = struct.Struct("=q")
_FIELDS_OF_A_WAIT = 9  # number, six arguments, stack pointer, program counter (proc(5), /proc/PID/syscall)


@dataclass(frozen=True, slots=True)
class _Wait:
    """The call that a thread waited in before it was told to stop: its number and first argument, the address of the
    thread's next instruction, and how often it had given up the processor by itself."""

    number: int
    argument: int
    code: int
    switches: int


class Waits:
    """The waits of a process's threads, each noted before the thread is told to stop: where the kernel tells nothing of
    it afterwards (Facts.instruction_size)."""

    def __init__(self, pid: int, facts: Facts) -> None:
        self.pid = pid
        self.facts = facts
        self._noted: dict[int, _Wait] = {}

    def note(self, thread: int) -> None:
        """Right before a thread is told to stop: one that has made its call between is not known to wait, and may find
        the call ended with EINTR."""
        if not self.facts.instruction_size:
            return
        self._noted.pop(thread, None)
        switches = self._switches(thread)
        fields = system_call_of(self.pid, thread)
        if len(fields) == _FIELDS_OF_A_WAIT:
            self._noted[thread] = _Wait(int(fields[0]), int(fields[1], 16), int(fields[-1], 16), switches)

    def registers(self, thread: int) -> bytes:
        """Those of a thread that stands, with which it goes on; empty where it has ended."""
        return self._going_on(thread, read_registers(thread, PRSTATUS))

    def let_go_on(self, thread: int, number: int) -> None:
        """Let a call that the stop ended be made again when the thread goes on, with a signal or 0: but a signal's
        handler is to find it ended with EINTR."""
        before = read_registers(thread, PRSTATUS)
        after = self._made_again(thread, number, before) if before else before
        if after != before:
            write_registers(thread, PRSTATUS, after)

    def is_at_call(self, thread: int) -> bool:
        """Whether a thread stands at the instruction that makes a system call, where this tells of one that waits. A
        single step of it would be over when the call is, and then end the program (SIGTRAP)."""
        facts = self.facts
        registers = read_registers(thread, PRSTATUS) if facts.instruction_size else b""
        if not registers:
            return False
        try:
            with Path(f"/proc/{self.pid}/task/{thread}/mem").open("rb", buffering=0) as memory:
                memory.seek(_word(registers, facts.next_at))
                return memory.read(facts.instruction_size).hex() == facts.instruction
        except OSError:
            return True

    def resumed(self, thread: int, registers: bytes) -> bytes:
        """The registers with which a thread goes on that has made other calls meanwhile: where it has waited for a part
        of its time, the kernel still knows the rest."""
        facts, wait = self.facts, self._noted.get(thread)
        if wait is None or _word(registers, facts.next_at) != wait.code - facts.instruction_size:
            return registers
        second = _word(registers, facts.result_at + _WORD.size)
        for number, unwanted, needed_at in facts.resumed:
            if wait.number == number and not second & unwanted and _word(registers, needed_at):
                return _with(registers, {facts.number_at: facts.restart})
        return registers

    def _made_again(self, thread: int, number: int, registers: bytes) -> bytes:
        facts = self.facts
        if facts.instruction_size:
            is_for_handler = number and has_signal(self.pid, thread, "SigCgt", number)
            return registers if is_for_handler else self._going_on(thread, registers)
        # the kernel makes it again, unless a handler comes in between
        return _with(registers, {facts.result_at: -_ERESTARTNOHAND}) if _has_ended(registers, facts) else registers

    def _going_on(self, thread: int, registers: bytes) -> bytes:
        """Forgets what was noted where the thread did anything since: it was woken for the stop alone, and has given up
        the processor but for that."""
        facts, wait = self.facts, self._noted.get(thread)
        if wait is None or not registers:
            return registers
        code = _word(registers, facts.next_at)
        is_there = _word(registers, facts.number_at) == wait.number and wait.code - code in (0, facts.instruction_size)
        system_call_of(self.pid, thread)  # the kernel answers when the thread has given up the processor for the stop
        if not is_there or self._switches(thread) > wait.switches + 1:
            del self._noted[thread]
            return registers
        if code != wait.code or not _has_ended(registers, facts):
            return registers
        return _with(registers, {facts.result_at: wait.argument, facts.next_at: code - facts.instruction_size})

    def _switches(self, thread: int) -> int:
        return int(field_of(self.pid, thread, "voluntary_ctxt_switches") or -1)


def _has_ended(registers: bytes, facts: Facts) -> bool:
    """Whether the registers say that a stop has ended a call."""
    number, result = (_word(registers, at) for at in (facts.number_at, facts.result_at))
    return number in facts.interrupted and result == -errno.EINTR


def _word(registers: bytes, at: int) -> int:
    return int(_WORD.unpack_from(registers, at)[0])


def _with(registers: bytes, words: dict[int, int]) -> bytes:
    """The registers with other words at some places."""
    found = bytearray(registers)
    for at, word in words.items():
        found[at : at + _WORD.size] = (word % (1 << 64)).to_bytes(_WORD.size, "little")
    return bytes(found)
