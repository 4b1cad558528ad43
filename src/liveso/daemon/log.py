"""The daemon's log: events with fields, one a line (logfmt)."""

import logging
import logging.handlers
import sys
from pathlib import Path

import structlog

_LOG_SIZE = 4 << 20  # bytes


def start_log(file: Path | None) -> None:
    """Log to `file`, which is kept below 8 MiB with its predecessor, or to standard error."""
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if file is not None:
        handler = logging.handlers.RotatingFileHandler(file, maxBytes=_LOG_SIZE, backupCount=1, delay=True)
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
