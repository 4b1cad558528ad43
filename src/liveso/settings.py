"""Settings: variables of the environment, which go before the configuration file, which goes before the defaults."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from liveso.errors import SettingsError, UnsafePath
from liveso.folders import open_trusted
from liveso.kinds import Kind
from liveso.roots import inside
from liveso.setting_values import listening, loglevel, notified, number, one_of, patterns, process_patterns, some_of

SOCKET_CURE = "set XDG_RUNTIME_DIR or LIVE_SOCKET to a folder of your own"
STORE_CURE = "set LIVE_STORE to a folder of your own"
HISTORY_CURE = "set LIVE_HISTORY to a folder of your own"
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
    history: Path
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
    "history": "LIVE_HISTORY",
    "history_days": "LIVE_HISTORY_DAYS",
    "history_size": "LIVE_HISTORY_SIZE",
    "metrics": "LIVE_METRICS",
    "notify": "LIVE_NOTIFY",
    "notify_on": "LIVE_NOTIFY_ON",
}
"""Each setting's name in the configuration file, and its variable."""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force. Raises SettingsError where a value is not one."""
    unsaid = defaults(environment, os.geteuid())
    values: dict[str, Any] = {**unsaid, **_read_file(environment)}
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
        settle=number("LIVE_SETTLE", values["settle"]) / 1000,
        linger=number("LIVE_LINGER", values["linger"]),
        policy=one_of("LIVE_POLICY", POLICIES, values["policy"]),
        package_locks=patterns(values["package_locks"]),
        overwrite=one_of("LIVE_OVERWRITE", OVERWRITES, values["overwrite"]),
        allow=process_patterns("LIVE_ALLOW", values["allow"]),
        deny=process_patterns("LIVE_DENY", values["deny"]),
        switch=switch(values["switch"]),
        canary=int(number("LIVE_CANARY", values["canary"])),
        history=Path(
            values["history"] or _folder_for_history(environment, str(values["store"]), str(unsaid["store"]))
        ).absolute(),
        history_days=number("LIVE_HISTORY_DAYS", values["history_days"]),
        history_size=int(number("LIVE_HISTORY_SIZE", values["history_size"])),
        metrics=listening(values["metrics"]),
        notify=notified(values["notify"]),
        notify_on=some_of("LIVE_NOTIFY_ON", tuple(Kind), patterns(values["notify_on"])),
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
        "history": "",
        "history_days": 400,
        "history_size": 64,
        "metrics": "",
        "notify": "",
        "notify_on": "refused:failed:waiting-for-person:crash-after-update",
    }


def _folder_for_history(environment: Mapping[str, str], store: str, usual_store: str) -> str:
    """Beside the store, where that was put somewhere; else where state is kept, which is no cache (hier(7), XDG)."""
    if store != usual_store:
        return store
    if os.geteuid() == 0:
        return "/var/lib/liveso"
    home = environment.get("HOME") or f"/tmp/liveso-{os.geteuid()}"
    return f"{environment.get('XDG_STATE_HOME') or f'{home}/.local/state'}/liveso"


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


def switch(value: Any) -> str:
    """Raises SettingsError where `value` is not one of SWITCHES."""
    return one_of("LIVE_SWITCH", SWITCHES, value)


def is_served(path: str, ignore: tuple[str, ...], only: tuple[str, ...]) -> bool:
    """Whether a library is to be kept up to date, by the patterns for its path, as its process has it, or file name."""
    names = inside(path), os.path.basename(path)

    def fits(globs: tuple[str, ...]) -> bool:
        return any(fnmatch(name, glob) for name in names for glob in globs)

    return not fits(ignore) and (not only or fits(only))
