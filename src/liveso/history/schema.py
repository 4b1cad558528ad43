"""How events lie in the file: a row each, with a column for each field."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from liveso.encoding import encodable
from liveso.history.event import Event
from liveso.kinds import Kind

VERSION = 1
"""PRAGMA user_version: a file with another one is none of ours."""
_FIELDS = tuple(it.name for it in fields(Event) if it.name != "number")
_JSON = {"pids", "units", "steps"}
_TYPES = {"time": "REAL", "milliseconds": "REAL", "user": "INTEGER", "stale_functions": "INTEGER"}

_COLUMNS = ", ".join(f"{it} {_TYPES.get(it, 'TEXT')} NOT NULL" for it in _FIELDS)
CREATE = f"""
CREATE TABLE events (number INTEGER PRIMARY KEY AUTOINCREMENT, {_COLUMNS});
CREATE INDEX events_by_time ON events (time);
PRAGMA user_version = {VERSION};
"""
INSERT = f"INSERT INTO events ({', '.join(_FIELDS)}) VALUES ({', '.join('?' * len(_FIELDS))})"
SELECT = f"SELECT number, {', '.join(_FIELDS)} FROM events"


def row_of(event: Event) -> tuple[Any, ...]:
    return tuple(_stored(name, getattr(event, name)) for name in _FIELDS)


def _stored(name: str, value: Any) -> Any:
    if name in _JSON:
        return json.dumps(encodable(dict(value) if isinstance(value, Mapping) else value))
    return encodable(str(value) if isinstance(value, str) else value)


def event_of(row: sqlite3.Row) -> Event:
    values = {name: json.loads(row[name]) if name in _JSON else row[name] for name in _FIELDS}
    values |= {"kind": Kind(row["kind"]), "pids": tuple(values["pids"]), "units": tuple(values["units"])}
    return Event(**values, number=row["number"])
