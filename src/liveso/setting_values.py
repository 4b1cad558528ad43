"""What the values of settings may be. What is none is a SettingsError that names the variable."""

import shlex
from ipaddress import ip_address
from typing import Any

from liveso.errors import SettingsError

PROCESS_WORDS = ("unit", "command", "user", "container")
"""What a process can be named by, in a pattern."""


def patterns(value: Any) -> tuple[str, ...]:
    """Glob patterns, from a list or from text with colons between them."""
    parts = value if isinstance(value, list) else str(value).split(":")
    return tuple(str(part).strip() for part in parts if str(part).strip())


def process_patterns(name: str, value: Any) -> tuple[str, ...]:
    found = patterns(value)
    for it in found:
        word, equals, glob = it.partition("=")
        if word not in PROCESS_WORDS or not equals or not glob:
            raise SettingsError(
                f"{name}: {it!r} names no processes: write unit=, command=, user= or container=, and a glob pattern"
            )
    return found


def loglevel(value: Any) -> int:
    """Raises SettingsError where `value` is not one of 0 … 4."""
    try:
        level = int(value)
    except (TypeError, ValueError):
        level = -1
    if level not in range(5):
        raise SettingsError(f"LIVE_LOGLEVEL: {value!r} is not one of 0, 1, 2, 3, 4")
    return level


def one_of(name: str, choices: tuple[str, ...], value: Any) -> str:
    if value not in choices:
        raise SettingsError(f"{name}: {value!r} is not one of {', '.join(choices)}")
    return str(value)


def some_of(name: str, choices: tuple[str, ...], values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one_of(name, choices, it) for it in values)


def listening(value: Any) -> str:
    """An address and a port, with a colon between them."""
    text = str(value)
    address, colon, port = text.rpartition(":")
    try:
        is_right = bool(ip_address(address.strip("[]"))) and 0 < int(port) < 65536
    except ValueError:
        is_right = False
    if text and not (colon and is_right):
        raise SettingsError(f"LIVE_METRICS: {text!r} is not an address and a port, like 127.0.0.1:9464")
    return text


def notified(value: Any) -> str:
    """A URL, or a command line whose first word is a path."""
    text = str(value).strip()
    if text.startswith(("http://", "https://")):
        return text
    try:
        command = shlex.split(text)
    except ValueError as error:
        raise SettingsError(f"LIVE_NOTIFY: {text!r} cannot be taken apart into words: {error}") from error
    if text and not command[0].startswith("/"):
        raise SettingsError(f"LIVE_NOTIFY: {text!r} is neither a URL nor a command line that begins with a path from /")
    return text


def number(name: str, value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = -1.0
    if not 0 <= found < 1e6:
        raise SettingsError(f"{name}: {value!r} is not a number of at least 0")
    return found
