"""A program that converts pictures with ImageMagick (PNG to TIFF and back) and compares what has come of them."""

from pathlib import Path
from typing import Any

from bench.compatibility.load import Connection
from bench.compatibility.site import Pipe, Site

_CLIENT = Path(__file__).parent / "convert.c"
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
CONNECTIONS = 3


def start(site: Site) -> None:
    client = site.compile(_CLIENT, "libMagickWand-6.Q16.so.6")
    folder = next((site.root / _LIBRARIES).glob("ImageMagick-6*"))
    environment: dict[str, Any] = {
        "MAGICK_CODER_MODULE_PATH": str(next(folder.glob("modules*/coders"))),
        "MAGICK_CODER_FILTER_PATH": str(next(folder.glob("modules*/filters"))),
        "MAGICK_CONFIGURE_PATH": f"{next(folder.glob('config*'))}:{site.root}/etc/ImageMagick-6",
        "MAGICK_THREAD_LIMIT": "2",
    }
    for _ in range(CONNECTIONS):
        site.start(client, client=True, **environment)


def connect(site: Site, index: int) -> Connection:
    return Pipe(site.clients[index], _judge)


def _judge(_number: int, answer: str) -> str:
    """The program prints the digest of the pixels before and after: both formats keep them."""
    words = answer.split()
    is_right = len(words) == 3 and words[0] == "converted" and words[1] == words[2] and len(words[1]) == 64
    return "" if is_right else answer[:160]
