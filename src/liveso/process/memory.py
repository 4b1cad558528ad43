"""The memory of a process while one of its threads stands still, as far as it was looked at: each page is read once, so
that all who look see the same."""

import struct
from collections.abc import Callable

from liveso.errors import TargetError
from liveso.process.withheld import MemoryWithheld

_PAGE = 4096
_MOST_PAGES = 2048
_LARGEST = 1 << 24  # bytes
_LONGEST_TEXT = 1 << 14  # bytes
_END = 1 << 63  # what lies above is the kernel's
_WORD = struct.Struct("<Q")


class Unreadable(TargetError):
    """Memory is not there, or does not hold what it should."""


class Memory:
    """`read` gives some bytes at an address, less where memory ends before; it may raise OSError or TargetError."""

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        self._read = read
        self._pages: dict[int, bytes] = {}

    def content(self, address: int, size: int) -> bytes:
        """Raises Unreadable where some of it cannot be read, or where it is more than any object has."""
        at = address & (_PAGE - 1)
        if at + size <= _PAGE:
            content = self._page(address - at)[at : at + size]
        elif size <= _PAGE:
            content = (self._page(address - at) + self._page(address - at + _PAGE))[at : at + size]
        else:
            content = self.fresh(address, size)
        if len(content) != size or size < 0:
            raise Unreadable(f"memory at {address:#x} cannot be read")
        return content

    def text(self, address: int) -> bytes:
        """A text that ends with a NUL. Raises Unreadable where it is longer than any."""
        found = b""
        while len(found) < _LONGEST_TEXT:
            part, end, _rest = self.content(address, _PAGE - address % _PAGE).partition(b"\0")
            found += part
            if end:
                return found
            address += len(part)
        raise Unreadable(f"the text at {address:#x} has no end")

    def word(self, address: int) -> int:
        """A word of eight bytes. Raises Unreadable."""
        at = address & (_PAGE - 1)
        page = self._pages.get(address - at)
        if page is not None and at + 8 <= len(page):
            return int(_WORD.unpack_from(page, at)[0])
        return int(_WORD.unpack(self.content(address, 8))[0])

    def _page(self, start: int) -> bytes:
        page = self._pages.get(start)
        if page is None:
            if len(self._pages) >= _MOST_PAGES:
                raise Unreadable(f"its tables are spread over more than {_MOST_PAGES} pages")
            page = self._pages[start] = self.fresh(start, _PAGE)
        return page

    def fresh(self, address: int, size: int) -> bytes:
        """What lies there now, less than `size` bytes where memory ends before. Raises Unreadable, MemoryWithheld."""
        if not 0 <= address < _END or not 0 <= size <= _LARGEST:
            raise Unreadable(f"{size} bytes at {address:#x} cannot be read")
        try:
            return self._read(address, size)
        except MemoryWithheld:
            raise
        except (OSError, TargetError) as error:
            raise Unreadable(f"memory at {address:#x} cannot be read") from error
