"""Standard error while the program has the terminal: lines of ours, what a build said, and a question."""

import asyncio
import os
import sys
import termios
from dataclasses import dataclass
from typing import Any

from liveso.text import printable

_INPUT, _ERRORS = 0, 2


def say(text: str) -> None:
    """A line."""
    write(f"liveso: {printable(text)}\n".encode(errors="backslashreplace"))


def write(text: bytes) -> None:
    """Bytes as they are; with carriage returns where the program has the terminal write none (termios(3), OPOST)."""
    mode = current_mode(_ERRORS)
    if mode and not mode[1] & termios.OPOST:
        text = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    try:
        sys.stderr.flush()
        while text:
            text = text[os.write(_ERRORS, text) :]
    except (OSError, ValueError):
        pass  # nobody reads it any more: the program goes on


def current_mode(descriptor: int = _INPUT) -> list[Any] | None:
    """The modes of a terminal; nothing where there is none."""
    try:
        return termios.tcgetattr(descriptor)
    except (termios.error, ValueError):
        return None


def set_mode(mode: list[Any] | None) -> None:
    """Nobody is stopped for it: SIGTTOU is blocked here."""
    if mode:
        try:
            termios.tcsetattr(_INPUT, termios.TCSADRAIN, mode)
        except termios.error:
            pass


def is_in_foreground() -> bool:
    """Whether this process's group may read the terminal."""
    try:
        return os.tcgetpgrp(_INPUT) == os.getpgrp()
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked on the terminal, whose modes were `plain` before the program changed them."""

    text: str
    plain: list[Any] | None

    async def answer(self) -> str:
        """A line; empty at the end of input. When this is cancelled, the terminal is as it was before, too."""
        loop, found = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
        before = current_mode()
        set_mode(self.plain)
        write(f"liveso: {printable(self.text)} ".encode())

        def read() -> None:
            loop.remove_reader(_INPUT)
            try:
                line = os.read(_INPUT, 1024)
            except OSError:
                line = b""
            if not found.done():
                found.set_result(line.decode(errors="replace").strip())

        loop.add_reader(_INPUT, read)
        try:
            return str(await found)
        except asyncio.CancelledError:
            write(b"\n")
            raise
        finally:
            loop.remove_reader(_INPUT)
            set_mode(before)
