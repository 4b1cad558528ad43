"""The token: what tells the person who started the page from everybody else who can reach it."""

import hmac
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from liveso.errors import UnsafePath
from liveso.folders import open_folder
from liveso.settings import SOCKET_CURE

HEADER = "x-liveso-token"
_BYTES = 32


@contextmanager
def kept_token(file: Path) -> Iterator[str]:
    """A new token, which `file` holds, for this user alone to read, while the page runs. Raises UnsafePath where
    another user can change the folder."""
    token = secrets.token_urlsafe(_BYTES)
    try:
        with open_folder(file.parent, SOCKET_CURE, make=True) as folder:
            folder.write(file.name, [f"{token}\n".encode()], 0o600)
    except OSError as error:
        raise UnsafePath(f"{file} cannot be written: {os.strerror(error.errno or 0)}; {SOCKET_CURE}") from error
    try:
        yield token
    finally:
        with suppress(OSError):  # another page, at another port, has its own there now
            if file.read_text() == f"{token}\n":
                file.unlink()


def is_token(given: str, token: str) -> bool:
    """Whether it is the token; how long that takes does not say how much of it is right."""
    return hmac.compare_digest(given.encode(), token.encode())
