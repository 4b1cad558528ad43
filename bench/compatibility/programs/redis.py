"""Redis over TLS: values set, read and computed by scripts in Lua."""

import socket
import ssl

from bench.compatibility.load import Connection
from bench.compatibility.site import Site

_SCRIPT = "local t = cjson.decode(ARGV[1]) return cjson.encode({t[1] + 1, string.rep('x', t[1] % 7)})"


def start(site: Site) -> None:
    site.make_certificate()
    options = f"--port 0 --tls-port {site.port} --bind 127.0.0.1 --tls-auth-clients no --save '' --appendonly yes"
    files = "--tls-cert-file cert.pem --tls-key-file key.pem --tls-ca-cert-file cert.pem --io-threads 2"
    words = [it.strip("'") for it in f"{options} {files}".split()]
    site.start(site.root / "usr/bin/redis-server", *words, "--dir", site.folder)
    site.wait_for_port()


class _Redis:
    """The protocol of Redis, as far as it is needed here (RESP 2)."""

    def __init__(self, site: Site) -> None:
        context = ssl.create_default_context(cafile=str(site.folder / "cert.pem"))
        plain = socket.create_connection(("127.0.0.1", site.port), timeout=10)
        self._socket = context.wrap_socket(plain, server_hostname="127.0.0.1")
        self._answers = self._socket.makefile("rb")

    def request(self, number: int) -> str:
        value = f"value {number} " * (1 + number % 200)
        wanted = f'[{number % 1000 + 1},"{"x" * (number % 1000 % 7)}"]'
        for command, right in (
            (("SET", f"key{number % 500}", value), "OK"),
            (("GET", f"key{number % 500}"), None),
            (("EVAL", _SCRIPT, "0", f"[{number % 1000}]"), wanted),
        ):
            answer = self._ask(*command)
            # another connection may have set another value meanwhile
            if answer != right if right is not None else not answer.startswith("value "):
                return f"{command[0]}: {answer[:60]!r}"
        return ""

    def _ask(self, *words: str) -> str:
        parts = [f"*{len(words)}\r\n", *(f"${len(it)}\r\n{it}\r\n" for it in words)]
        self._socket.sendall("".join(parts).encode())
        line = self._answers.readline().decode().rstrip("\r\n")
        if not line:
            raise ConnectionError("closed by the server")
        if line[0] == "$":
            return self._answers.read(int(line[1:]) + 2)[:-2].decode()
        return line[1:] if line[0] == "+" else line

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


def connect(site: Site, _index: int) -> Connection:
    return _Redis(site)
