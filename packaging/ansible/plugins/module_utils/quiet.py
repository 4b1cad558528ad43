"""What can go wrong on a machine after an update, each as a sentence, empty where it has not."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from .liveso import run

_REFUSALS = ("refused", "failed", "waiting-for-person")


def trouble_in_history(events: Iterable[dict[str, Any]], refusals_allowed: int) -> str:
    refusals = {}
    for it in events:
        name, pids = str(it.get("library", "")).rpartition("/")[2], tuple(it.get("pids") or ())
        if it.get("kind") == "crash-after-update":
            return f"{name}: {_where(it)} crashed after the update: {it.get('reason', '')}"
        if it.get("kind") in _REFUSALS:
            refusals[it.get("library"), pids] = f"{name}: {it['kind']} in {_where(it)}: {it.get('reason', '')}"
    return "; ".join(refusals.values()) if 0 <= refusals_allowed < len(refusals) else ""


def _where(event: dict[str, Any]) -> str:
    units = event.get("units") or [event.get("command") or "a process"]
    return f"{units[-1]} (pid {', '.join(map(str, event.get('pids') or ()))})"


def trouble_of_unit(unit: str, since: float, limit: float) -> str:
    properties = "ActiveState,SubState,Result,NRestarts,ExecMainStartTimestampMonotonic"
    ran = run(["systemctl", "show", "--property", properties, "--", unit], limit)
    if ran.code:
        return f"{unit}: systemd does not answer: {ran.said}"
    return judged(unit, ran.output, time.time() - since, time.monotonic())


def judged(unit: str, shown: str, ago: float, now: float) -> str:
    """By what `systemctl show` says: `ago` seconds before `now`, by the clock of this boot, it began to matter."""
    state = dict(line.partition("=")[::2] for line in shown.splitlines())
    if state.get("ActiveState") not in ("active", "reloading"):
        result = f" ({state['Result']})" if state.get("Result") not in (None, "", "success") else ""
        return f"{unit}: it is {state.get('ActiveState') or 'unknown'}{result}"
    started = int(state.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
    if int(state.get("NRestarts") or 0) and started > now - ago:
        return f"{unit}: it ended after the update, and systemd started it again"
    return ""


def trouble_of_check(command: str, limit: float) -> str:
    ran = run(["sh", "-c", command], limit)
    return f"`{command}` fails: {ran.said}" if ran.code else ""
