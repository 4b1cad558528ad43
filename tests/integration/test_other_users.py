"""Daemons whose folders another user has made before: they do not start, and touch nothing."""

import logging
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from liveso.daemon import log as log_module
from liveso.daemon import run_daemon
from liveso.daemon.log import _PrivateFile
from liveso.errors import SettingsError, StoreError
from liveso.folders import open_folder
from liveso.settings import read_settings
from liveso.store import Store
from tests.harness import LIVESO, Bench, wait_until
from tests.users import ATTACKER, VICTIM, as_user, make_file, make_folder

CURE = "set XDG_RUNTIME_DIR or LIVE_SOCKET to a folder of your own"


USER = 100_000 + os.getpid()  # nobody else's, so that no other test is in the way


@pytest.fixture
def theirs() -> Iterator[Path]:
    """The folder in /tmp that a user without a runtime folder uses, made by somebody else."""
    folder = make_folder(Path(f"/tmp/liveso-{USER}"), ATTACKER, 0o777)
    yield folder
    shutil.rmtree(folder)


def start_daemon(**variables: str) -> None:
    run_daemon(read_settings(variables), on_demand=True)


def test_a_daemon_does_not_use_a_folder_in_tmp_that_another_user_has_made(theirs: Path, common: Path) -> None:
    precious = [make_file(common / name, USER) for name in ("truncated", "appended", "replaced")]
    for name, file in zip(("lock", "log", "api"), precious, strict=True):
        (theirs / f"liveso.sock.{name}").symlink_to(file)
    (theirs / "liveso.sock").symlink_to(precious[2])
    assert as_user(USER, start_daemon) == f"{theirs} belongs to user nobody, so it is not used; {CURE}"
    assert [file.read_text() for file in precious] == ["content"] * 3
    assert len(list(theirs.iterdir())) == 4


def test_no_code_is_loaded_from_a_folder_in_tmp_that_another_user_has_made(theirs: Path, common: Path) -> None:
    make_folder(theirs / ".cache", USER)  # a folder of the victim's own in it does not make it safe
    store = Store(as_victim_sees_it(common))
    assert store.root == theirs / ".cache" / "liveso"
    mapped = Path("/proc/self/maps").read_text().split()
    library = Path(next(it for it in mapped if it.endswith("/libc.so.6")))  # whoever asks may read it
    said = as_user(USER, lambda: store.add(library))
    assert said == f"{theirs} belongs to user nobody, so it is not used; set LIVE_STORE to a folder of your own"


def as_victim_sees_it(common: Path) -> Path:
    answer = make_file(common / "answer", USER)
    assert as_user(USER, lambda: answer.write_text(str(read_settings({}).store))) == ""
    return Path(answer.read_text())


@pytest.mark.parametrize("name", ["liveso.sock", "liveso.sock.api"])
def test_what_is_no_socket_is_not_replaced_by_one(idle_bench: Bench, name: str) -> None:
    idle_bench.runtime.mkdir()
    file = idle_bench.runtime / name
    file.write_text("content")
    daemon = subprocess.run(
        [LIVESO, "daemon"], env=idle_bench.environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert daemon.returncode == 6 and f"{file} is not a socket, and is left alone" in daemon.stderr
    assert daemon.stderr.count("\n") == 1 and file.read_text() == "content"


def test_roots_daemon_does_not_use_a_folder_of_a_user(common: Path) -> None:
    home = make_folder(common / "home", VICTIM)
    with pytest.raises(StoreError, match=f"{home} belongs to user {VICTIM}, so it is not used; {CURE}"):
        start_daemon(LIVE_SOCKET=str(home / "liveso.sock"), LIVE_STORE=str(common / "store"))
    assert not list(home.iterdir())


@pytest.mark.parametrize(("user", "mode"), [(ATTACKER, 0o644), (VICTIM, 0o664), (VICTIM, 0o646)])
def test_a_configuration_file_that_another_user_can_write_is_refused(common: Path, user: int, mode: int) -> None:
    home = make_folder(common / "home", VICTIM)
    file = make_file(home / "liveso.toml", user, mode)
    file.write_text('store = "/tmp/evil"')
    said = as_user(VICTIM, lambda: read_settings({"LIVE_CONFIG": str(file)}))
    assert said.startswith(str(file)) and said.endswith(
        "set LIVE_CONFIG to a file that only you can write, in a folder of your own"
    )
    (home / "link").symlink_to("liveso.toml")
    assert str(file) in as_user(VICTIM, lambda: read_settings({"LIVE_CONFIG": str(home / "link")}))
    os.chown(file, VICTIM, VICTIM)
    file.chmod(0o600)
    assert as_user(VICTIM, lambda: read_settings({"LIVE_CONFIG": str(home / "link")})) == ""
    with pytest.raises(SettingsError, match=f"{home} belongs to user {VICTIM}"):
        read_settings({"LIVE_CONFIG": str(file)})


def test_the_log_of_a_daemon_is_its_users_alone(idle_bench: Bench) -> None:
    idle_bench.compile("#include <stdio.h>\nint main(void) { return getchar() == 0; }", "program")
    idle_bench.runtime.mkdir()
    log = Path(f"{idle_bench.environment['LIVE_SOCKET']}.log")
    make_file(log, 0, 0o664)  # of an earlier liveso
    idle_bench.run("./program")
    wait_until(lambda: "event=target" in log.read_text(), "the target in the log")
    modes = {it.name: stat.S_IMODE(it.lstat().st_mode) for it in idle_bench.runtime.iterdir()}
    assert modes == {
        "liveso.sock": 0o666,
        "liveso.sock.api": 0o600,
        "liveso.sock.lock": 0o600,
        "liveso.sock.log": 0o600,
    }


def test_a_log_that_is_begun_anew_is_closed_to_others_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "_LOG_SIZE", 50)
    precious = tmp_path / "precious"
    precious.write_text("content")
    folder = open_folder(tmp_path / "runtime", "", make=True)
    (folder.path / "log.1").symlink_to(precious)
    handler = _PrivateFile(folder, "log")
    for number in range(5):
        handler.emit(logging.LogRecord("", logging.INFO, "", 0, f"{number} \udcff" + 40 * "x", None, None))
    handler.close()
    assert sorted(os.listdir(folder.path)) == ["log", "log.1"] and precious.read_text() == "content"
    assert {stat.S_IMODE((folder.path / name).lstat().st_mode) for name in ("log", "log.1")} == {0o600}
