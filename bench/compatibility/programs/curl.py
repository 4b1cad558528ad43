"""A program that fetches pages over HTTP/2 with libcurl, from an nginx that does not change."""

from pathlib import Path

from bench.compatibility.load import Connection
from bench.compatibility.programs import nginx
from bench.compatibility.site import Pipe, Site

_CLIENT = Path(__file__).parent / "fetch.c"
CONNECTIONS = 4


def start(site: Site) -> None:
    nginx.serve(site, site.client_roots["nginx"], with_agent=False)
    client = site.compile(_CLIENT, "libcurl.so.4")
    for _ in range(CONNECTIONS):
        site.start(client, f"https://localhost:{site.port}/page/", site.folder / "cert.pem", client=True)


def connect(site: Site, index: int) -> Connection:
    return Pipe(site.clients[index], _judge)


def _judge(number: int, answer: str) -> str:
    wanted = f"200 HTTP/2 {nginx.right_answer(number)}"
    return "" if answer == wanted else answer[:120]
