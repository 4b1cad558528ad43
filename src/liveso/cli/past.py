"""A moment of the past, as people write it."""

import re
import time
from datetime import datetime

import click

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}
_AGO = re.compile(rf"(\d{{1,6}})([{''.join(_SECONDS)}])")


class Moment(click.ParamType):  # type: ignore[type-arg]  # older releases are not generic
    """Seconds since 1970, of how long ago it was (`30m`, `2h`, `3d`), or of a date, with a time or without, in the
    local zone."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value)
        if ago := _AGO.fullmatch(text):
            return time.time() - int(ago[1]) * _SECONDS[ago[2]]
        try:
            return datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            self.fail(f"{text!r} is no time: write how long ago (30m, 2h, 3d), or a date (2026-01-31 or with 14:30)")
