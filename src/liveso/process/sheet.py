import os

from liveso.errors import TargetError

_LARGEST = 1 << 28  # bytes that are read at a time


class Sheet:
    """A memfd with bulk data for one request, closed at the end of a `with` block."""

    def __init__(self, content: bytes = b"") -> None:
        self.descriptor = os.memfd_create("liveso", os.MFD_CLOEXEC)
        written = 0
        while written < len(content):
            written += os.write(self.descriptor, content[written:])

    def __enter__(self) -> "Sheet":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def write(self, content: bytes, offset: int) -> None:
        os.pwrite(self.descriptor, content, offset)

    def read(self, offset: int, size: int) -> bytes:
        if size > _LARGEST:
            raise TargetError(f"the agent says that it wrote {size} bytes, more than any target has")
        content = os.pread(self.descriptor, size, offset) if size else b""
        if len(content) != size:
            raise TargetError("the agent wrote less than it said")
        return content
