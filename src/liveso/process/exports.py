"""What an object exports, read in the memory of a process: which function an address lies in, and what a name is the
definition of (gABI, "Dynamic Section", "Hash Table"; the GNU one is that of ld's --hash-style=gnu)."""

import struct
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from liveso.elf import printable, tables
from liveso.elf.tables import Table
from liveso.process.mapped import MappedObject
from liveso.process.memory import Memory, Unreadable

_ENTRY, _SYMBOL = struct.Struct("<qQ"), struct.Struct("<IBBHQQ")
_GNU_HEADER, _WORD, _PAIR = struct.Struct("<IIII"), struct.Struct("<I"), struct.Struct("<II")
_LARGEST_SECTION = 1 << 16  # bytes
_MOST_BUCKETS, _LONGEST_CHAIN, _MOST_SYMBOLS = 1 << 20, 1 << 12, 1 << 19
_LONGEST_NAME = 256
_LARGEST_FUNCTION = 1 << 32  # bytes
_ADDRESSES = frozenset({tables.DT_SYMTAB, tables.DT_STRTAB, tables.DT_GNU_HASH, tables.DT_HASH})


class Exports:
    """Raises Unreadable, here and in what it is asked, where the tables are not there or damaged."""

    def __init__(self, memory: Memory, image: MappedObject) -> None:
        self._memory, self._image = memory, image
        section = image.dynamic
        size = len(section) // _ENTRY.size * _ENTRY.size
        if size > _LARGEST_SECTION:
            raise Unreadable(f"the dynamic section of {image.name} is larger than any object's")
        self._tags: dict[int, int] = {}
        for tag, value in _ENTRY.iter_unpack(memory.content(section.start, size)):
            if tag == tables.DT_NULL:
                break
            is_relative = tag in _ADDRESSES and value < image.base  # ld.so makes them absolute where it can write
            self._tags.setdefault(tag, value + image.base if is_relative else value)
        self._functions: Table | None = None

    @property
    def soname(self) -> str:
        """The name that others ask for it by; empty where it has none."""
        return self._name(self._tags[tables.DT_SONAME]) if tables.DT_SONAME in self._tags else ""

    def functions_at(self, address: int) -> frozenset[str]:
        """The names of the exported function whose code is at `address`; none where it is in no such function."""
        if self._functions is None:
            self._functions = self._read_functions()
        at, starts = np.uint64((address - self._image.base) % (1 << 64)), self._functions["value"]
        found = self._functions[(starts <= at) & (at - starts < self._functions["size"])]
        return frozenset(self._name(int(it)) for it in found["name"][:64])

    def _read_functions(self) -> Table:
        count = self._count()
        content = self._memory.content(self._address(tables.DT_SYMTAB), count * _SYMBOL.size)
        return _functions_among(content)

    def definitions(self, name: str) -> list[range]:
        """What is defined by `name`, in all its versions."""
        rows = (self._symbol(index) for index in self._candidates(name.encode()))
        strings, wanted = self._address(tables.DT_STRTAB), name.encode() + b"\0"
        return [
            range(self._image.base + value, self._image.base + value + min(size, _LARGEST_FUNCTION))
            for at, _info, _other, section, value, size in rows
            if section != tables.SHN_UNDEF and self._memory.content(strings + at, len(wanted)) == wanted
        ]

    def _candidates(self, name: bytes) -> Iterator[int]:
        """The symbols with the hash of a name, or among those with it."""
        return self._by_gnu_table(name) if tables.DT_GNU_HASH in self._tags else self._by_table(name)

    def _by_gnu_table(self, name: bytes) -> Iterator[int]:
        hashed = 5381
        for byte in name:
            hashed = (hashed * 33 + byte) & 0xFFFFFFFF
        buckets, first, words, shift = self._gnu_header()
        start = self._tags[tables.DT_GNU_HASH] + _GNU_HEADER.size
        word = self._memory.word(start + 8 * ((hashed // 64) % words))
        if not word >> (hashed % 64) & word >> ((hashed >> (shift & 31)) % 64) & 1:
            return
        chains = start + 8 * words + 4 * buckets
        symbol = self._number(start + 8 * words + 4 * (hashed % buckets))
        if symbol < first:
            return
        for index in range(symbol, symbol + _LONGEST_CHAIN):
            link = self._number(chains + 4 * (index - first))
            if link | 1 == hashed | 1:
                yield index
            if link & 1:
                return
        raise Unreadable(f"the hash table of {self._image.name} is damaged")

    def _by_table(self, name: bytes) -> Iterator[int]:
        hashed = 0
        for byte in name:
            hashed = (hashed << 4) + byte
            hashed = (hashed ^ (hashed >> 24 & 0xF0)) & 0x0FFFFFFF
        table = self._address(tables.DT_HASH)
        buckets, count = _PAIR.unpack(self._memory.content(table, _PAIR.size))
        if not 0 < buckets <= _MOST_BUCKETS:
            raise Unreadable(f"the hash table of {self._image.name} is damaged")
        index = self._number(table + 8 + 4 * (hashed % buckets))
        for _step in range(_LONGEST_CHAIN):
            if not index:
                return
            if index >= count:
                break
            yield index
            index = self._number(table + 8 + 4 * buckets + 4 * index)
        raise Unreadable(f"the hash table of {self._image.name} is damaged")

    def _symbol(self, index: int) -> tuple[int, int, int, int, int, int]:
        row = self._memory.content(self._address(tables.DT_SYMTAB) + index * _SYMBOL.size, _SYMBOL.size)
        name, info, other, section, value, size = _SYMBOL.unpack(row)
        return name, info, other, section, value, size

    def _count(self) -> int:
        """How many symbols there are: no table says it outright but the older hash table."""
        if tables.DT_HASH in self._tags:
            count = self._number(self._tags[tables.DT_HASH] + 4)
        else:
            buckets, first, words, _shift = self._gnu_header()
            start = self._address(tables.DT_GNU_HASH) + _GNU_HEADER.size + 8 * words
            last = int(np.frombuffer(self._memory.content(start, 4 * buckets), "<u4").max())
            count = max(first, last + 1)
            if last >= first:
                chain = start + 4 * buckets + 4 * (last - first)
                rest = (at for at in range(_LONGEST_CHAIN) if self._number(chain + 4 * at) & 1)
                count = last + 1 + next(rest, _MOST_SYMBOLS)
        if count > _MOST_SYMBOLS:
            raise Unreadable(f"{self._image.name} has more than {_MOST_SYMBOLS} symbols")
        return count

    def _gnu_header(self) -> tuple[int, int, int, int]:
        buckets, first, words, shift = _GNU_HEADER.unpack(
            self._memory.content(self._address(tables.DT_GNU_HASH), _GNU_HEADER.size)
        )
        if not 0 < buckets <= _MOST_BUCKETS or not 0 < words <= _MOST_BUCKETS:
            raise Unreadable(f"the hash table of {self._image.name} is damaged")
        return buckets, first, words, shift

    def _address(self, tag: int) -> int:
        if tag not in self._tags:
            raise Unreadable(f"{self._image.name} has no symbol table")
        return self._tags[tag]

    def _number(self, address: int) -> int:
        return int(_WORD.unpack(self._memory.content(address, 4))[0])

    def _name(self, at: int) -> str:
        """A name in the strings, cut where it is longer than any that matters here."""
        start, found = self._address(tables.DT_STRTAB) + at, b""
        while b"\0" not in found and len(found) < _LONGEST_NAME:
            found += self._memory.content(start + len(found), 32)
        return printable(found.partition(b"\0")[0].decode("utf-8", "replace"))


@lru_cache(maxsize=64)
def _functions_among(symbols: bytes) -> Table:
    """Those of a symbol table: the same library is in most processes, and looked at in each visit."""
    found = np.frombuffer(symbols, tables.SYMBOL)
    is_function = (found["info"] & 0xF == tables.STT_FUNC) & (found["section"] != tables.SHN_UNDEF)
    functions: Table = found[is_function]
    return functions
