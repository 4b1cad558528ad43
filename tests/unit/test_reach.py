import os
from dataclasses import replace
from pathlib import Path

import pytest

from liveso.daemon.reach import is_own, is_reached
from liveso.process import belonging
from liveso.settings import read_settings

SETTINGS = read_settings({"LIVE_CONFIG": os.devnull, "HOME": "/nonexistent"})
THIS = os.path.basename(os.readlink("/proc/self/exe"))


@pytest.mark.parametrize(
    ("allow", "deny", "is_in"),
    [
        ((), (), True),
        ((f"command={THIS}",), (), True),
        (("command=other",), (), False),
        (("command=other", f"user={os.geteuid()}"), (), True),
        ((), ("command=other",), True),
        ((), (f"command=*/{THIS}",), False),
        ((f"command={THIS}",), (f"user={os.geteuid()}",), False),
        ((), ("container=*",), True),
    ],
)
def test_what_is_allowed_and_what_is_denied(allow: tuple[str, ...], deny: tuple[str, ...], is_in: bool) -> None:
    assert is_reached(os.getpid(), replace(SETTINGS, allow=allow, deny=deny)) is is_in


def test_the_first_process_is_never_reached() -> None:
    assert not is_reached(1, SETTINGS)
    assert is_own(os.getpid())


def test_a_process_of_another_namespace_is_in_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(belonging, "_namespace", lambda pid: str(pid))
    for path, name in {
        "/system.slice/docker-0123abcd.scope": "0123abcd",
        "/machine.slice/libpod-77.scope/container": "77",
        "/lxc.payload.web/init.scope": "web",
        "/user.slice/user-0.slice": "4711",
    }.items():
        monkeypatch.setattr(Path, "read_text", lambda _path, path=path, **_options: f"0::{path}\n")
        assert belonging.container_of(4711) == name
