"""HTTP requests over TLS, with answers in the encodings that the servers offer."""

import ctypes
import gzip
import http.client
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

_TIMEOUT = 10.0


class Web:
    """A connection to a server. `ask` gives method, path, headers and body of a request, and `judge` looks at status
    and decoded body."""

    def __init__(
        self,
        port: int,
        certificate: Path,
        ask: Callable[[int], tuple[str, str, dict[str, str], bytes]],
        judge: Callable[[int, int, str], str],
        decoders: Mapping[str, Callable[[bytes], bytes]],
    ) -> None:
        context = ssl.create_default_context(cafile=str(certificate))
        self._http = http.client.HTTPSConnection("127.0.0.1", port, timeout=_TIMEOUT, context=context)
        self._ask, self._judge, self._decoders = ask, judge, decoders

    def request(self, number: int) -> str:
        method, path, headers, body = self._ask(number)
        try:
            self._http.request(method, path, body or None, headers)
            answer = self._http.getresponse()
            content = answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        encoding = answer.getheader("Content-Encoding", "")
        if encoding != headers.get("Accept-Encoding", ""):
            return f"the answer is encoded as {encoding!r}"
        decoded = self._decoders[encoding](content) if encoding else content
        return self._judge(number, answer.status, decoded.decode())

    def close(self) -> None:
        self._http.close()


def ungzip(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except EOFError as error:
        raise ValueError(str(error)) from error


def unbrotli(root: Path) -> Callable[[bytes], bytes]:
    """A decoder that uses the library below `root`, which does not change."""
    folder = root / "usr/lib/x86_64-linux-gnu"
    ctypes.CDLL(str(folder / "libbrotlicommon.so.1"), ctypes.RTLD_GLOBAL)
    decompress = ctypes.CDLL(str(folder / "libbrotlidec.so.1")).BrotliDecoderDecompress

    def decode(content: bytes) -> bytes:
        size = ctypes.c_size_t(1 << 20)
        result = ctypes.create_string_buffer(size.value)
        if decompress(ctypes.c_size_t(len(content)), content, ctypes.byref(size), result) != 1:
            raise ValueError("the answer cannot be decoded")
        return result.raw[: size.value]

    return decode
