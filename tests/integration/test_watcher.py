"""What is watched, and what is looked at from time to time where it cannot be."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from liveso.watch.file_systems import silent_kind
from liveso.watch.watcher import Watcher
from tests.harness import let_all_pass

LIMIT = 60.0  # seconds

WATCH = """
import asyncio, concurrent.futures.thread, sys
from liveso.watch.watcher import Watcher
async def main():
    watcher = Watcher()
    for path in sys.argv[1:]:
        watcher.add(path)
    print("problems", *watcher.problems(), sep="|", flush=True)
    async for change in watcher.changes():
        watcher.follow(change.path)  # first, as who looks at the file afterwards does
        print("change", change.path, len(watcher.problems()), flush=True)
asyncio.run(main())
"""


class Watching:
    """A process that watches paths, under limits of its own (user_namespaces(7), /proc/sys/user)."""

    def __init__(self, limits: str, *paths: Path) -> None:
        namespace = ["unshare", "--user", "--map-root-user", "sh", "-c", f'{limits} exec "$@"', "sh"]
        command = [*namespace, sys.executable, "-c", WATCH, *map(str, paths)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.problems = self.line()

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def wait_for_change(self, path: Path) -> None:
        """Others may have changed something on the way meanwhile: what comes for other paths is passed over."""
        while not (line := self.line()).startswith(f"change {path} "):
            assert line, self.end()

    def end(self) -> str:
        self.process.kill()
        return self.process.communicate()[1]


def limit(name: str, number: int) -> str:
    return f"echo {number} > /proc/sys/user/max_inotify_{name};"


def exchange(path: Path) -> None:
    new = path.with_name("new")
    new.write_text("new")
    os.rename(new, path)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (limit("watches", 2), "raise fs.inotify.max_user_watches"),
        (limit("instances", 0), "raise fs.inotify.max_user_instances"),
        (limit("watches", 0), "raise fs.inotify.max_user_watches"),
        ("ulimit -n 6;", "raise the limit of open files"),
    ],
    ids=["few-watches", "no-instance", "no-watch", "no-descriptor"],
)
def test_what_cannot_be_watched_is_said_and_seen_nonetheless(tmp_path: Path, limits: str, reason: str) -> None:
    files = [tmp_path / name / "libx.so" for name in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text("old")
    watching = Watching(limits, *files)
    assert reason in watching.problems and str(files[0]) in watching.problems, watching.end()
    for file in files:
        exchange(file)
        watching.wait_for_change(file)
    watching.end()


def test_a_link_and_a_folder_on_the_way_are_looked_at(tmp_path: Path) -> None:
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "libx.so").write_text(name)
    link, path = tmp_path / "current", tmp_path / "current" / "libx.so"
    link.symlink_to("1")
    watching = Watching(limit("watches", 0), path)
    (tmp_path / "next").symlink_to("2")
    os.rename(tmp_path / "next", link)
    watching.wait_for_change(path)
    os.rename(tmp_path / "2", tmp_path / "3")
    watching.wait_for_change(path)
    watching.end()


def test_watches_are_tried_for_again(tmp_path: Path) -> None:
    file = tmp_path / "libx.so"
    file.write_text("old")
    watching = Watching(limit("watches", 0), file)
    assert "max_user_watches" in watching.problems
    command = ["nsenter", f"--user=/proc/{watching.process.pid}/ns/user", "sh", "-c", limit("watches", 1000)]
    subprocess.run(command, check=True)
    line = "1"
    while not line.endswith(" 0"):
        exchange(file)
        line = watching.line()
        assert line.startswith(f"change {file}"), watching.end()
    watching.end()


def test_a_folder_that_may_not_be_read_is_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "libx.so").write_text("old")
    let_all_pass(tmp_path)
    folder.chmod(0o711)
    user = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    command = [*user, sys.executable, "-c", WATCH, str(folder / "libx.so")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout and "may not be read" in process.stdout.readline()
    exchange(folder / "libx.so")
    assert process.stdout.readline().startswith("change")
    process.kill()
    process.wait()


def test_a_folder_with_two_names_is_watched_by_both(tmp_path: Path) -> None:
    """A bind mount gives one folder two names, and the kernel one watch."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one/libx.so").write_text("old")
    paths = [tmp_path / name / "libx.so" for name in ("one", "two")]
    mount = f'mount --bind {tmp_path}/one {tmp_path}/two && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", mount, "sh", sys.executable, "-c", WATCH, *map(str, paths)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline().strip() == "problems"
    exchange(paths[0])
    seen: set[str] = set()
    while seen < set(map(str, paths)):
        seen.add(process.stdout.readline().split()[1])
    process.kill()
    process.wait()


def test_file_systems_that_do_not_tell_are_known() -> None:
    assert silent_kind("/proc/self") == "proc"
    assert silent_kind("/nowhere") == ""


def test_what_lies_on_such_a_file_system_is_looked_at_besides() -> None:
    async def find() -> list[str]:
        watcher = Watcher()
        watcher.add("/proc/self/status")
        try:
            return watcher.problems()
        finally:
            watcher.close()

    (problem,) = asyncio.run(find())
    assert "(proc) does not tell of all changes" in problem and "/proc/self/status" in problem
