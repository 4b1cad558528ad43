"""File systems that do not answer before a test says so (fuse(4)), as one whose server has gone."""

import ctypes
import errno
import os
import select
import stat
import struct
import threading
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

_HEADER = struct.Struct("<IIQQIIII")
_ANSWER = struct.Struct("<IiQ")
_ATTRIBUTES = struct.Struct("<6Q10I")
_ENTRY = struct.Struct("<4QII")
_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _INIT, _OPENDIR, _INTERRUPT, _BATCH_FORGET = 1, 2, 3, 14, 15, 26, 27, 36, 42
_DONE = {18, 25, 29}  # FUSE_RELEASE, FUSE_FLUSH, FUSE_RELEASEDIR
_WITHOUT_ANSWER = {_FORGET, _INTERRUPT, _BATCH_FORGET}
_ROOT = 1
_KEPT = 3600  # seconds that the kernel may go without asking again
_MNT_DETACH = 2

READS, ALL = frozenset({_READ}), frozenset[int]()

_libc = ctypes.CDLL(None, use_errno=True)


class _File(NamedTuple):
    """A file's content, and the times that tell it from others of its name, in seconds."""

    content: bytes
    changed: int


class WithheldFolder:
    """A mounted folder whose files lie in the test's memory, and come as long as nothing is withheld. With `keeps`, the
    kernel need not ask again for what it was told. Raises OSError where this user may mount none."""

    def __init__(self, folder: Path, *, keeps: bool = False) -> None:
        folder.mkdir()
        self.path = folder
        self._keeps = _KEPT if keeps else 0
        self._files: dict[int, _File] = {}
        self._names: dict[bytes, int] = {}
        self._numbers = count(_ROOT + 1)
        self._withheld: frozenset[int] = frozenset()
        self._hears = True
        self._turn = threading.Condition()
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0,allow_other"
        if _libc.mount(b"withheld", os.fsencode(folder), b"fuse", 0, options.encode()):
            os.close(self._device)
            raise OSError(ctypes.get_errno(), "mount")
        threading.Thread(target=self._serve, daemon=True).start()

    def put(self, name: str, content: bytes) -> Path:
        """Let a new file of this name be there, in the place of another one if that is."""
        with self._turn:
            number = next(self._numbers)
            self._files[number] = _File(content, number)
            self._names[os.fsencode(name)] = number
        return self.path / name

    def fill(self, name: str, content: bytes) -> None:
        """Let the file of this name have other content, of the same size, of which nobody is told."""
        with self._turn:
            number = self._names[os.fsencode(name)]
            self._files[number] = _File(content, number)

    def withhold(self, kinds: frozenset[int] = ALL) -> None:
        """Let nothing come from now on, or nothing of some kinds. Of the latter who waits cannot be killed, for his
        question was heard (fuse(4), "Interrupting filesystem operations" in the kernel's documentation)."""
        with self._turn:
            self._withheld, self._hears = kinds, kinds != ALL

    def give(self) -> None:
        """Let everything come, also what was asked for meanwhile."""
        with self._turn:
            self._withheld, self._hears = frozenset(), True
            self._turn.notify_all()

    def close(self) -> None:
        self.give()
        _libc.umount2(os.fsencode(self.path), _MNT_DETACH)

    def _serve(self) -> None:
        while True:
            try:
                request = self._heard()
            except OSError:
                os.close(self._device)
                return
            _size, kind, number, node, *_rest = _HEADER.unpack_from(request)
            if kind in _WITHOUT_ANSWER:
                continue
            arguments = (kind, number, node, request[_HEADER.size :])
            if kind in self._withheld:
                threading.Thread(target=self._answer_when_given, args=arguments, daemon=True).start()
            else:
                self._answer(*arguments)

    def _heard(self) -> bytes:
        """The next question, once there are answers."""
        while True:
            select.select([self._device], [], [])
            with self._turn, suppress(BlockingIOError):  # whoever asked may have ended
                self._turn.wait_for(lambda: self._hears)
                return os.read(self._device, 1 << 17)

    def _answer_when_given(self, kind: int, number: int, node: int, argument: bytes) -> None:
        with self._turn:
            self._turn.wait_for(lambda: kind not in self._withheld)
        self._answer(kind, number, node, argument)

    def _answer(self, kind: int, number: int, node: int, argument: bytes) -> None:
        with self._turn:
            error, content = self._answer_of(kind, node, argument)
        try:
            os.write(self._device, _ANSWER.pack(_ANSWER.size + len(content), -error, number) + content)
        except OSError:
            pass  # whoever asked has ended

    def _answer_of(self, kind: int, node: int, argument: bytes) -> tuple[int, bytes]:
        if kind == _INIT:
            return 0, struct.pack("<IIIIHHIIHHI7I", 7, 31, 1 << 16, 0, 16, 12, 1 << 16, 1, 0, 0, 0, *[0] * 7)
        if kind == _LOOKUP:
            found = self._names.get(argument.rstrip(b"\0"))
            if found is None:
                return errno.ENOENT, b""
            return 0, _ENTRY.pack(found, 0, self._keeps, self._keeps, 0, 0) + self._attributes(found)
        if kind == _GETATTR:
            return 0, struct.pack("<QII", self._keeps, 0, 0) + self._attributes(node)
        if kind == _READ:
            _handle, offset, size = struct.unpack_from("<QQI", argument)
            return 0, self._files[node].content[offset : offset + size]
        if kind in (_OPEN, _OPENDIR):
            return 0, struct.pack("<QII", 0, 0, 0)
        return (0, b"") if kind in _DONE else (errno.ENOSYS, b"")

    def _attributes(self, node: int) -> bytes:
        file = self._files.get(node, _File(b"", 0))
        mode = stat.S_IFDIR | 0o755 if node == _ROOT else stat.S_IFREG | 0o755
        size, time = len(file.content), file.changed
        return _ATTRIBUTES.pack(node, size, -(-size // 512), time, time, time, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)
