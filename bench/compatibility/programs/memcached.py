"""memcached with four threads: values set and read."""

import socket

from bench.compatibility.load import Connection
from bench.compatibility.site import Site, is_root


def start(site: Site) -> None:
    user = ("-u", "root") if is_root() else ()
    site.start(site.root / "usr/bin/memcached", "-l", "127.0.0.1", "-p", str(site.port), *user)
    site.wait_for_port()


class _Memcached:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._answers = self._socket.makefile("rb")

    def request(self, number: int) -> str:
        value = f"value {number} " * (1 + number % 200)
        self._socket.sendall(f"set key{number} 0 60 {len(value)}\r\n{value}\r\nget key{number}\r\n".encode())
        wanted = f"STORED\r\nVALUE key{number} 0 {len(value)}\r\n{value}\r\nEND\r\n"
        answer = b"".join(self._answers.readline() for _ in range(4)).decode()
        if not answer:
            raise ConnectionError("closed by the server")
        return "" if answer == wanted else f"{answer[:60]!r}"

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


def connect(site: Site, _index: int) -> Connection:
    return _Memcached(site.port)
