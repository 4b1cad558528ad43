"""The daemon's log: events with fields, one a line (logfmt)."""

import logging
import logging.handlers
import os
import sys
from io import TextIOWrapper

import structlog

from liveso.folders import Folder

_LOG_SIZE = 4 << 20  # bytes


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """A file that only its user may read, since command lines can hold secrets."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder, self._file_name = folder, name
        super().__init__(folder.path / name, maxBytes=_LOG_SIZE, backupCount=1)

    def _open(self) -> TextIOWrapper:
        descriptor = self._folder.open_own(self._file_name, os.O_WRONLY | os.O_APPEND)
        return os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")


def start_log(folder: Folder | None = None, name: str = "") -> None:
    """Log to the file `name` in `folder`, which is kept below 8 MiB with its predecessor, or to standard error. Raises
    UnsafePath where the file is another user's, OSError."""
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if folder is not None:
        handler = _PrivateFile(folder, name)
    logging.basicConfig(format="%(message)s", handlers=[handler], level=logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso", key="time"),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["time", "event"]),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


log: structlog.typing.FilteringBoundLogger = structlog.get_logger("liveso")
