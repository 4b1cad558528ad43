"""What a daemon answers to `/packages`, for the tests of those who read it."""

from typing import Any

OLD, NEW = "3.0.17-1", "3.0.20-1"


def row(
    pid: int, path: str, old: str, new: str, on_disk: str, result: str = "updated", reason: str = ""
) -> dict[str, Any]:
    return {"pid": pid, "path": path, "result": result, "reason": reason, "in_force": result == "updated"} | {
        "began": old,
        "runs": new,
        "on_disk": on_disk,
        "differs": new != on_disk,
    }


def answer(units: dict[int, str], *rows: dict[str, Any]) -> dict[str, Any]:
    versions = {it[key] for it in rows for key in ("began", "runs", "on_disk")} - {""}
    entries = [
        {"version": "3.0.20-1", "cves": ["CVE-2026-10000", "CVE-2026-0002"]},
        {"version": "3.0.19-1", "cves": ["CVE-2026-0001"]},
        {"version": "3.0.17-1", "cves": []},
    ]
    return {
        "targets": [
            {"pid": pid, "command": f"/usr/sbin/x {pid}", "units": [unit] if unit else [], "libraries": them}
            for pid, unit in units.items()
            for them in [[it for it in rows if it["pid"] == pid]]
        ],
        "packages": {
            version: [
                {
                    "package": {
                        "name": "libssl3",
                        "version": version,
                        "architecture": "amd64",
                        "source": "openssl",
                        "source_version": version,
                    },
                    "release": {"id": "debian", "number": "12", "name": "bookworm"},
                    "entries": [it for it in entries if it["version"] <= version],
                }
            ]
            for version in versions
        },
    }
