"""PostgreSQL with queries over XML; the clients connect anew now and then, so that new server processes are made."""

from pathlib import Path

from bench.compatibility.load import Connection
from bench.compatibility.site import Pipe, Site

_CLIENT = Path(__file__).parent / "query.c"
CONNECTIONS = 4


def start(site: Site) -> None:
    programs = site.copy_of_root() / "usr/lib/postgresql/15/bin"
    data = site.folder / "data"
    data.mkdir()
    site.give(data)
    data.chmod(0o700)
    layout = ("--auth=trust", "--username=postgres", "--no-sync", "--no-locale", "--encoding=UTF8")
    site.run(programs / "initdb", *layout, "-D", data, as_root=False)
    settings = ("fsync=off", "listen_addresses=", f"unix_socket_directories={data}", "shared_buffers=16MB")
    options = [part for it in settings for part in ("-c", it)]
    site.start(programs / "postgres", "-D", data, *options, as_root=False)
    site.wait_until((data / ".s.PGSQL.5432").exists, "it does not listen")
    client = site.compile(_CLIENT, "libpq.so.5")
    for _ in range(CONNECTIONS):
        site.start(client, f"host={data} user=postgres dbname=postgres", client=True)


def connect(site: Site, index: int) -> Connection:
    return Pipe(site.clients[index], _judge)


def _judge(number: int, answer: str) -> str:
    return "" if answer == f"item {number} of 4: <sum>{number + 5}</sum>" else answer[:120]
