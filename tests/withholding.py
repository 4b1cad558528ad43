"""Files that are not given before a test says so (fuse(4)), as those of a server that does not answer."""

import ctypes
import errno
import os
import stat
import struct
import threading
from pathlib import Path

_HEADER = struct.Struct("<IIQQIIII")
_ANSWER = struct.Struct("<IiQ")
_ATTRIBUTES = struct.Struct("<6Q10I")
_ENTRY = struct.Struct("<4QII")
_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _INIT, _OPENDIR, _INTERRUPT, _BATCH_FORGET = 1, 2, 3, 14, 15, 26, 27, 36, 42
_DONE = {18, 25, 29}  # FUSE_RELEASE, FUSE_FLUSH, FUSE_RELEASEDIR
_WITHOUT_ANSWER = {_FORGET, _INTERRUPT, _BATCH_FORGET}
_FILE = 2  # its number; 1 is the folder's
_NAME = b"page"
_MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


class WithheldFile:
    """A mounted folder with a file `page`, whose reads wait until its content is given. Raises OSError where this user
    may mount none."""

    def __init__(self, folder: Path, size: int) -> None:
        folder.mkdir()
        self.path = folder / "page"
        self._folder = folder
        self._size = size
        self._content = b""
        self._given = threading.Event()
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0,allow_other"
        if _libc.mount(b"withheld", os.fsencode(folder), b"fuse", 0, options.encode()):
            os.close(self._device)
            raise OSError(ctypes.get_errno(), "mount")
        threading.Thread(target=self._serve, daemon=True).start()

    def give(self, content: bytes) -> None:
        self._content = content
        self._given.set()

    def close(self) -> None:
        self._given.set()
        _libc.umount2(os.fsencode(self._folder), _MNT_DETACH)

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self._device, 1 << 17)
            except OSError:
                os.close(self._device)
                return
            _size, kind, number, node, *_rest = _HEADER.unpack_from(request)
            if kind in _WITHOUT_ANSWER:
                continue
            if kind == _READ:
                threading.Thread(target=self._answer_when_given, args=(number, request), daemon=True).start()
            else:
                self._answer(number, *self._answer_of(kind, node, request[_HEADER.size :]))

    def _answer_when_given(self, number: int, request: bytes) -> None:
        self._given.wait()
        _handle, offset, size = struct.unpack_from("<QQI", request, _HEADER.size)
        self._answer(number, 0, self._content[offset : offset + size])

    def _answer_of(self, kind: int, node: int, argument: bytes) -> tuple[int, bytes]:
        if kind == _INIT:
            return 0, struct.pack("<IIIIHHIIHHI7I", 7, 31, 1 << 16, 0, 16, 12, 1 << 16, 1, 0, 0, 0, *[0] * 7)
        if kind == _LOOKUP and argument.rstrip(b"\0") == _NAME:
            return 0, _ENTRY.pack(_FILE, 0, 3600, 3600, 0, 0) + self._attributes(_FILE)
        if kind == _LOOKUP:
            return errno.ENOENT, b""
        if kind == _GETATTR:
            return 0, struct.pack("<QII", 3600, 0, 0) + self._attributes(node)
        if kind in (_OPEN, _OPENDIR):
            return 0, struct.pack("<QII", 0, 0, 0)
        return (0, b"") if kind in _DONE else (errno.ENOSYS, b"")

    def _attributes(self, node: int) -> bytes:
        mode = stat.S_IFREG | 0o644 if node == _FILE else stat.S_IFDIR | 0o755
        return _ATTRIBUTES.pack(node, self._size, 8, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def _answer(self, number: int, error: int, content: bytes) -> None:
        try:
            os.write(self._device, _ANSWER.pack(_ANSWER.size + len(content), -error, number) + content)
        except OSError:
            pass  # whoever asked has ended
