"""Telling somebody outside: a command or a webhook, for chosen kinds of events."""

import asyncio
import json
import os
import shlex
import subprocess
from collections.abc import Sequence

from liveso.daemon.log import log
from liveso.daemon.supervision import Supervisor
from liveso.encoding import encodable
from liveso.history import Event, plain
from liveso.settings import Settings

_GATHERED = 1.0  # seconds: what happens in many processes at once is told in one message
_MOST = 1000  # events in a message: what comes beyond is counted
_LIMIT = 30.0  # seconds
_LONGEST_TEXT = 10  # lines


class Notifier:
    """Tells what happens by `settings.notify`, one message after the other."""

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        self._told = settings.notify
        self._kinds = frozenset(settings.notify_on)
        self._supervisor = supervisor
        self._events: list[Event] = []
        self._left_out = 0
        self._is_telling = False

    def note(self, event: Event) -> None:
        if not self._told or event.kind not in self._kinds:
            return
        if len(self._events) < _MOST:
            self._events.append(event)
        else:
            self._left_out += 1
        if not self._is_telling:
            self._is_telling = True
            self._supervisor.start(self._tell_all())

    async def _tell_all(self) -> None:
        try:
            while self._events:
                await asyncio.sleep(_GATHERED)
                events, left_out = self._events, self._left_out
                self._events, self._left_out = [], 0
                problem = await asyncio.to_thread(send, self._told, message(events, left_out))
                self._supervisor.tell("notify", problem)
        finally:
            self._is_telling = False


def message(events: Sequence[Event], left_out: int = 0) -> bytes:
    """JSON with the `events` as `liveso history --json` has them, and a `text` for people."""
    lines = list(dict.fromkeys(_line(it) for it in events))
    more = [f"and {len(lines) - _LONGEST_TEXT} more"] if len(lines) > _LONGEST_TEXT else []
    text = "\n".join([*lines[:_LONGEST_TEXT], *more])
    told = [encodable(plain(it)) for it in events]
    return json.dumps({"text": encodable(text), "events": told, "left_out": left_out}).encode() + b"\n"


def _line(event: Event) -> str:
    where = f" in {event.service}" if event.service else ""
    why = f": {event.reason}" if event.reason else ""
    return f"liveso: {os.path.basename(event.library)}: {event.kind}{where}{why}"


def send(told: str, content: bytes) -> str:
    """Send a message, which is waited for. Returns what went wrong, or nothing."""
    try:
        if told.startswith(("http://", "https://")):
            return _post(told, content)
        done = subprocess.run(shlex.split(told), input=content, capture_output=True, timeout=_LIMIT, check=False)
        if done.returncode == 0:
            return ""
        reason = f"it ended with {done.returncode}: {done.stderr.decode(errors='replace').strip()[-200:]}"
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        reason = str(error)
    log.warning("not-told", reason=reason)
    return f"{told}: nobody was told what happened ({reason})"


def _post(address: str, content: bytes) -> str:
    """Raises OSError, ValueError. What speaks HTTP is loaded by who needs it."""
    from http.client import HTTPException
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(address, content, {"Content-Type": "application/json"}), timeout=_LIMIT):
            return ""
    except HTTPException as error:  # what answers there does not speak HTTP
        raise ValueError(f"{type(error).__name__}: {error}") from error
