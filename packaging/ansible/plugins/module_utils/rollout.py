"""Upgrade packages, and see what becomes of their libraries in the processes that run."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from . import apt
from .liveso import Liveso, Trouble
from .status import PENDING, TAKEN_BACK, TROUBLE, Entry, as_text, became, by_service, entries, way_back, went_in

_PAUSE = 0.5  # seconds between two looks


class Rollout:
    def __init__(self, liveso: Liveso, options: dict[str, Any], started: float) -> None:
        self._liveso, self._options, self._started = liveso, options, started
        self._packages: list[str] = list(options["packages"] or ())
        self._digests = apt.Digests()

    def foresee(self) -> dict[str, Any]:
        """For check mode: what would be upgraded, and the verdict over it."""
        before = entries(self._liveso.status())
        planned = self._planned()
        verdicts = [it for package in planned for it in self._judge(package, before)]
        files = apt.files_of([it["name"] for it in planned])
        refused = sum(it["verdict"] == "refused" for it in verdicts)
        return {
            "changed": bool(planned),
            "packages": planned,
            "verdicts": verdicts,
            "services": _services(self._of(before, files)),
            "started": self._started,
            "msg": f"{len(planned)} packages would be upgraded, {refused} of their {len(verdicts)} libraries refused",
            "diff": {"before": _versions(planned, "before"), "after": _versions(planned, "after")},
        }

    def carry_out(self) -> dict[str, Any]:
        before = entries(self._liveso.status())  # before anything is done: without a daemon, nothing is
        planned = self._planned()
        if planned:
            apt.upgrade(self._packages, self._options["apt_timeout"])
        # what is named is looked at also where it was upgraded before, and is still under way
        files = apt.files_of([it["name"] for it in planned] + [it.partition("=")[0] for it in self._packages])
        after, pending = self._wait(files)
        pairs = went_in(before, after)
        # a process that ended with it, too, has ones to come
        there = {(it["pid"], it["path"]) for it in after}
        ended = [it for it in self._of(before, files) if (it["pid"], it["path"]) not in there and self._is_behind(it)]
        troubled = [it for it in after if it["became"] in (TROUBLE, PENDING)]
        result = {
            "changed": bool(planned or pairs),
            "packages": planned,
            "results": by_service(after),
            "refused": by_service(it for it in after if it["became"] == TROUBLE),
            "services": _services(after),
            "undo": way_back([*pairs, *((it, it) for it in ended)]),
            "started": self._started,
            "diff": {
                "before": _versions(planned, "before") + as_text(by_service(self._of(before, files))),
                "after": _versions(planned, "after") + as_text(by_service(after)),
            },
        }
        allowed = self._options["refusals_allowed"]
        if pending or 0 <= allowed < len(troubled):
            raise Trouble(_sentence(troubled, self._options["timeout"]), **result)
        taken_back = sum(it["became"] == TAKEN_BACK for it in after)
        said = f"{len(planned)} packages upgraded; {len(pairs)} libraries of processes were brought in"
        kept = f", {len(troubled)} refused" * bool(troubled) + f", {taken_back} stay rolled back" * bool(taken_back)
        return {**result, "msg": said + kept}

    def _planned(self) -> list[dict[str, str]]:
        if self._options["update_cache"]:
            apt.refresh(self._options["apt_timeout"])
        return apt.simulate(self._packages)

    def _of(self, all_of_them: Iterable[Entry], files: set[str]) -> list[Entry]:
        """The libraries that lie in these files, or in any where all packages are meant."""
        return [it for it in all_of_them if it["path"] and (self._options["all"] or apt.real(it["path"]) in files)]

    def _is_behind(self, entry: Entry) -> bool:
        return bool(entry["version"]) and entry["version"] != self._digests.of(entry["path"])

    def _wait(self, files: set[str]) -> tuple[list[Entry], bool]:
        """The libraries with what has `became` of them, as soon as each has a result or the time is over; whether some
        has none."""
        end = time.monotonic() + self._options["timeout"]
        while True:
            found = self._of(entries(self._liveso.status()), files)
            behind = any(self._is_behind(it) or not it["version"] for it in found)
            events = self._liveso.history() if behind else []
            for it in found:
                others = [other for other in found if other["pid"] == it["pid"]]
                it["became"] = became(it, self._digests.of(it["path"]), others, events, self._started)
            pending = any(it["became"] == PENDING for it in found)
            if not pending or time.monotonic() >= end:
                return found, pending
            time.sleep(_PAUSE)

    def _judge(self, package: dict[str, str], running: list[Entry]) -> list[dict[str, Any]]:
        name, limit = package["name"], self._options["check_timeout"]
        if not apt.files_of([name]):
            return []  # no file of it can be a library
        wanted = next((it for it in self._packages if it.partition("=")[0] == name and "=" in it), "")
        what = [f"{name}={package['before']}", wanted] if wanted else [name]
        try:
            found = self._liveso.json("check", "--package", *what, limit=limit)
        except Trouble as trouble:
            if "has no shared library" in str(trouble):
                return []
            return [_verdict(package, "", "unknown", [str(trouble)], [])]
        return [
            _verdict(
                package,
                it.get("library", ""),
                _word(it),
                [each["text"] for each in it.get("findings", ()) if each.get("weight") != "note"],
                _services_with(running, it.get("library", "")),
            )
            for it in found
        ]


def _word(it: dict[str, Any]) -> str:
    """The answer of `liveso check` over one library."""
    if it.get("applies"):
        return "applies"
    if it.get("asks_person"):
        return "asks a person"
    return "depends on the process" if it.get("depends_on_process") else "refused"


def _verdict(
    package: dict[str, str], library: str, verdict: str, reasons: list[str], services: list[str]
) -> dict[str, Any]:
    return {
        "package": package["name"],
        "library": library,
        "verdict": verdict,
        "reasons": reasons,
        "services": services,
    }


def _services_with(running: list[Entry], library: str) -> list[str]:
    return sorted({it["service"] for it in running if it["path"].rpartition("/")[2] == library})


def _services(found: Iterable[Entry]) -> list[str]:
    """The machine's own: a user's systemd is asked by that user."""
    return sorted(
        {
            it["service"]
            for it in found
            if it["service"].endswith(".service") and not any(unit.startswith("user@") for unit in it["units"])
        }
    )


def _versions(planned: list[dict[str, str]], when: str) -> str:
    return "".join(f"{it['name']} {it[when]}\n" for it in planned)


def _sentence(troubled: list[Entry], limit: float) -> str:
    """What went wrong, the same in several processes once."""
    said: dict[str, list[str]] = {}
    for it in troubled:
        reason = it["reason"] or "a process crashed with it"
        if it["became"] == PENDING:
            reason = f"nothing has come of it within {limit:.0f} s" + (f" ({it['reason']})" if it["reason"] else "")
        what = f"{it['path'].rpartition('/')[2]}: {it['result'] if it['became'] == TROUBLE else 'not updated'}"
        said.setdefault(f"{what} in {it['service']}: {reason}", []).append(str(it["pid"]))
    return "; ".join(f"{text} (pid {', '.join(pids)})" for text, pids in said.items())
