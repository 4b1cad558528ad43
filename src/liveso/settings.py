"""Settings: variables of the environment, which go before the configuration file, which goes before the defaults."""

import os
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from liveso.errors import SettingsError, UnsafePath
from liveso.folders import open_trusted
from liveso.roots import inside

SOCKET_CURE = "set XDG_RUNTIME_DIR or LIVE_SOCKET to a folder of your own"
STORE_CURE = "set LIVE_STORE to a folder of your own"
_CONFIG_CURE = "set LIVE_CONFIG to a file that only you can write, in a folder of your own"
_SOCKET = "liveso.sock"
_LONGEST_SOCKET_PATH = 103  # unix(7): 107 bytes, less the ".api" of the command's socket


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user can set. Times in seconds; `ignore` and `only` are glob patterns of library paths or file names,
    `allow` and `deny` of processes: a word of PROCESS_WORDS, "=", and a glob pattern; `history_size` is in MiB,
    `metrics` an address and a port, or empty; `notify` is a command line or the URL of a webhook, `notify_on` are kinds
    of events."""

    socket: Path
    store: Path
    ignore: tuple[str, ...]
    only: tuple[str, ...]
    loglevel: int
    settle: float
    linger: float
    policy: str
    package_locks: tuple[str, ...]
    overwrite: str
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    switch: str
    canary: int
    history_days: float
    history_size: int
    metrics: str
    notify: str
    notify_on: tuple[str, ...]

    @property
    def command_socket(self) -> Path:
        """Where the `liveso` command talks to the daemon."""
        return Path(f"{self.socket}.api")

    @property
    def lock(self) -> Path:
        return Path(f"{self.socket}.lock")

    @property
    def log(self) -> Path:
        return Path(f"{self.socket}.log")


POLICIES = ("strict", "ask", "elf", "force")
OVERWRITES = ("protect", "ignore")
SWITCHES = ("now", "atomic")
NOTIFIABLE = (
    "updated",
    "rolled-back",
    "refused",
    "held-back",
    "waiting-for-person",
    "failed",
    "crash-after-update",
    "allowed",
    "rollback",
    "resume",
    "started",
    "stopped",
)
"""The kinds of events (`liveso.history.Kind`) that may be told."""
PROCESS_WORDS = ("unit", "command", "user", "container")
"""What a process can be named by, in a pattern."""
VARIABLES = {
    "socket": "LIVE_SOCKET",
    "store": "LIVE_STORE",
    "ignore": "LIVE_IGNORE",
    "only": "LIVE_ONLY",
    "loglevel": "LIVE_LOGLEVEL",
    "settle": "LIVE_SETTLE",
    "linger": "LIVE_LINGER",
    "policy": "LIVE_POLICY",
    "package_locks": "LIVE_PACKAGE_LOCKS",
    "overwrite": "LIVE_OVERWRITE",
    "allow": "LIVE_ALLOW",
    "deny": "LIVE_DENY",
    "switch": "LIVE_SWITCH",
    "canary": "LIVE_CANARY",
    "history_days": "LIVE_HISTORY_DAYS",
    "history_size": "LIVE_HISTORY_SIZE",
    "metrics": "LIVE_METRICS",
    "notify": "LIVE_NOTIFY",
    "notify_on": "LIVE_NOTIFY_ON",
}
"""Each setting's name in the configuration file, and its variable."""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force. Raises SettingsError where a value is not one."""
    values: dict[str, Any] = {**defaults(environment, os.geteuid()), **_read_file(environment)}
    values.update({name: environment[variable] for name, variable in VARIABLES.items() if environment.get(variable)})
    socket = Path(values["socket"])
    if len(os.fsencode(socket)) > _LONGEST_SOCKET_PATH:
        raise SettingsError(
            f"LIVE_SOCKET: the path {socket} is longer than {_LONGEST_SOCKET_PATH} bytes; set a shorter one"
        )
    if not socket.is_absolute():
        raise SettingsError(f"LIVE_SOCKET: the path {socket} must be absolute")
    return Settings(
        socket=socket,
        store=Path(values["store"]).absolute(),
        ignore=patterns(values["ignore"]),
        only=patterns(values["only"]),
        loglevel=loglevel(values["loglevel"]),
        settle=_number("LIVE_SETTLE", values["settle"]) / 1000,
        linger=_number("LIVE_LINGER", values["linger"]),
        policy=_one_of("LIVE_POLICY", POLICIES, values["policy"]),
        package_locks=patterns(values["package_locks"]),
        overwrite=_one_of("LIVE_OVERWRITE", OVERWRITES, values["overwrite"]),
        allow=_process_patterns("LIVE_ALLOW", values["allow"]),
        deny=_process_patterns("LIVE_DENY", values["deny"]),
        switch=switch(values["switch"]),
        canary=int(_number("LIVE_CANARY", values["canary"])),
        history_days=_number("LIVE_HISTORY_DAYS", values["history_days"]),
        history_size=int(_number("LIVE_HISTORY_SIZE", values["history_size"])),
        metrics=_listening(values["metrics"]),
        notify=_notified(values["notify"]),
        notify_on=_some_of("LIVE_NOTIFY_ON", NOTIFIABLE, patterns(values["notify_on"])),
    )


def defaults(environment: Mapping[str, str], user: int) -> dict[str, Any]:
    """The settings that a user has where nothing is said, by their names in the file."""
    cache = environment.get("XDG_CACHE_HOME") or f"{environment.get('HOME') or f'/tmp/liveso-{user}'}/.cache"
    return {
        "socket": str(_runtime_folder(environment, user) / _SOCKET),
        "store": "/var/cache/liveso" if user == 0 else f"{cache}/liveso",
        "ignore": "",
        "only": "",
        "loglevel": 0,
        "settle": 20,
        "linger": 30,
        "policy": "strict",
        "package_locks": "/var/lib/dpkg/lock-frontend:/var/lib/dpkg/lock:/var/lib/rpm/.rpm.lock",
        "overwrite": "protect",
        "allow": "",
        "deny": "",
        "switch": "now",
        "canary": 0,
        "history_days": 400,
        "history_size": 64,
        "metrics": "",
        "notify": "",
        "notify_on": "refused:failed:waiting-for-person:crash-after-update",
    }


def default_socket(environment: Mapping[str, str] = os.environ) -> Path:
    """The daemon's socket where nothing else is said."""
    return _runtime_folder(environment, os.geteuid()) / _SOCKET


def _runtime_folder(environment: Mapping[str, str], user: int) -> Path:
    """As agent/settings.c finds it."""
    if user == 0:
        return Path("/run/liveso")
    given = environment.get("XDG_RUNTIME_DIR", "")
    if given.startswith("/"):
        return Path(given, "liveso")
    standard = Path(f"/run/user/{user}")
    try:
        return standard / "liveso" if standard.stat().st_uid == user else Path(f"/tmp/liveso-{user}")
    except OSError:
        return Path(f"/tmp/liveso-{user}")


def _read_file(environment: Mapping[str, str]) -> dict[str, Any]:
    given = environment.get("LIVE_CONFIG")
    home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '')}/.config"
    default = "/etc/liveso/liveso.toml" if os.geteuid() == 0 else f"{home}/liveso/liveso.toml"
    path = Path(given or default)
    if given == os.devnull:
        return {}
    try:
        os.lstat(path)  # while there is none, it does not matter whose the folders are
        # what another user can write could lead to a store of theirs, from which code is loaded
        with open_trusted(path, _CONFIG_CURE) as file:
            values = tomllib.load(file)
    except FileNotFoundError:
        if given:
            raise SettingsError(f"{path}: there is no such configuration file (LIVE_CONFIG)") from None
        return {}
    except UnsafePath as error:
        raise SettingsError(str(error)) from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read as TOML: {error}") from error
    unknown = sorted(values.keys() - VARIABLES.keys())
    if unknown:
        raise SettingsError(f"{path}: unknown setting {unknown[0]}; known are {', '.join(sorted(VARIABLES))}")
    return values


def patterns(value: Any) -> tuple[str, ...]:
    """Glob patterns, from a list or from text with colons between them."""
    parts = value if isinstance(value, list) else str(value).split(":")
    return tuple(str(part).strip() for part in parts if str(part).strip())


def switch(value: Any) -> str:
    """Raises SettingsError where `value` is not one of SWITCHES."""
    return _one_of("LIVE_SWITCH", SWITCHES, value)


def _process_patterns(name: str, value: Any) -> tuple[str, ...]:
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


def _one_of(name: str, choices: tuple[str, ...], value: Any) -> str:
    if value not in choices:
        raise SettingsError(f"{name}: {value!r} is not one of {', '.join(choices)}")
    return str(value)


def _some_of(name: str, choices: tuple[str, ...], values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_one_of(name, choices, it) for it in values)


def _listening(value: Any) -> str:
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


def _notified(value: Any) -> str:
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


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < 1e6:
        raise SettingsError(f"{name}: {value!r} is not a number of at least 0")
    return number


def is_served(path: str, ignore: tuple[str, ...], only: tuple[str, ...]) -> bool:
    """Whether a library is to be kept up to date, by the patterns for its path, as its process has it, or file name."""
    names = inside(path), os.path.basename(path)

    def fits(globs: tuple[str, ...]) -> bool:
        return any(fnmatch(name, glob) for name in names for glob in globs)

    return not fits(ignore) and (not only or fits(only))
