"""Two plain users, one of whom means harm to the other: for tests that run as root."""

import os
from collections.abc import Callable
from pathlib import Path

from liveso.errors import LivesoError

VICTIM, ATTACKER = 12345, 65534
ALONE = 12346  # has the processes of one test, and no others


def as_user(user: int, act: Callable[[], object]) -> str:
    """Do something as a plain user, in a child; what was refused, or nothing."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"?"
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            act()
            said = b""
        except LivesoError as error:
            said = str(error).encode()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}".encode()
        finally:
            os.write(writing, said)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        answer = file.read()
    os.waitpid(child, 0)
    return answer


def make_folder(path: Path, user: int, mode: int = 0o755) -> Path:
    path.mkdir()
    os.chown(path, user, user)
    path.chmod(mode)
    return path


def make_file(path: Path, user: int, mode: int = 0o644) -> Path:
    path.write_text("content")
    os.chown(path, user, user)
    path.chmod(mode)
    return path
