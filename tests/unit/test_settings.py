"""Settings: variables before the file, the file before the defaults, and one clear line for what is none."""

import os
from pathlib import Path

import pytest

from liveso.errors import SettingsError
from liveso.history import Kind
from liveso.settings import is_served, read_settings


def test_variables_go_before_the_file_which_goes_before_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "liveso.toml"
    file.write_text('socket = "/run/a.sock"\nsettle = 5\nignore = ["libfoo*", "/opt/*"]\n')
    settings = read_settings({"LIVE_CONFIG": str(file), "LIVE_SOCKET": "/run/b.sock", "HOME": "/nowhere"})
    assert settings.socket == Path("/run/b.sock") and settings.command_socket == Path("/run/b.sock.api")
    assert settings.settle == 0.005 and settings.linger == 30
    assert settings.ignore == ("libfoo*", "/opt/*")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"LIVE_LOGLEVEL": "5"}, "LIVE_LOGLEVEL: '5' is not one of"),
        ({"LIVE_LOGLEVEL": "loud"}, "LIVE_LOGLEVEL"),
        ({"LIVE_OVERWRITE": "maybe"}, "LIVE_OVERWRITE: 'maybe' is not one of protect, ignore"),
        ({"LIVE_SETTLE": "-1"}, "LIVE_SETTLE"),
        ({"LIVE_SETTLE": "nan"}, "LIVE_SETTLE"),
        ({"LIVE_SOCKET": "relative.sock"}, "must be absolute"),
        ({"LIVE_SOCKET": "/" + "x" * 104}, "longer than 103 bytes"),
        ({"LIVE_METRICS": "9464"}, "LIVE_METRICS: '9464' is not an address and a port"),
        ({"LIVE_METRICS": "localhost:9464"}, "is not an address and a port"),
        ({"LIVE_METRICS": "127.0.0.1:99999"}, "is not an address and a port"),
        ({"LIVE_HISTORY_DAYS": "for ever"}, "LIVE_HISTORY_DAYS"),
        ({"LIVE_NOTIFY": "tell me"}, "LIVE_NOTIFY: 'tell me' is neither a URL nor a command line that begins with"),
        ({"LIVE_NOTIFY": "/bin/sh -c 'x"}, "cannot be taken apart"),
        ({"LIVE_NOTIFY_ON": "refused:rejected"}, "LIVE_NOTIFY_ON: 'rejected' is not one of updated"),
        ({"LIVE_CONFIG": "/nowhere.toml"}, "no such configuration file"),
    ],
)
def test_what_is_no_setting_is_named(variables: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_settings({"HOME": "/nowhere", **variables})


@pytest.mark.parametrize("text", ["colour = 1", "socket ="])
def test_a_file_that_is_wrong_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "liveso.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"liveso\.toml"):
        read_settings({"LIVE_CONFIG": str(file)})


def test_patterns_are_for_paths_or_file_names() -> None:
    assert is_served("/usr/lib/libfoo.so.1", (), ())
    assert not is_served("/usr/lib/libfoo.so.1", ("libfoo*",), ())
    assert not is_served("/usr/lib/libfoo.so.1", ("/usr/lib/*",), ())
    assert is_served("/usr/lib/libfoo.so.1", (), ("libfoo*",))
    assert not is_served("/usr/lib/libbar.so.1", (), ("libfoo*",))


def test_what_can_be_told_are_the_kinds_of_events() -> None:
    told = read_settings({"HOME": "/nowhere", "LIVE_NOTIFY_ON": ":".join(Kind)}).notify_on
    assert set(told) == {str(it) for it in Kind}


def test_the_history_is_no_cache_but_goes_where_the_store_was_put() -> None:
    told = {"HOME": "/nowhere", "XDG_STATE_HOME": "/state"}
    assert read_settings(told).history == Path("/var/lib/liveso" if os.geteuid() == 0 else "/state/liveso")
    assert read_settings({**told, "LIVE_STORE": "/mine"}).history == Path("/mine")
    assert read_settings({**told, "LIVE_STORE": "/mine", "LIVE_HISTORY": "/past"}).history == Path("/past")


def test_where_figures_are_shown_and_who_is_told_can_be_set() -> None:
    settings = read_settings({"HOME": "/nowhere", "LIVE_METRICS": "[::1]:9464", "LIVE_NOTIFY": "https://chat/hook?a=b"})
    assert settings.metrics == "[::1]:9464" and settings.notify == "https://chat/hook?a=b"
    assert settings.history_days == 400 and settings.history_size == 64
