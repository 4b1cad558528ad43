"""A module of Debian's nginx, which hands its functions to nginx by tables and pointers, is rebuilt under load."""

import os
import re
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Bench, Program, wait_until
from tests.integration.test_nginx import expect_no_failure, free_port
from tests.once import made_once
from tests.packages import LIBRARIES, package

PROGRAMS = Path(__file__).parent / "programs"
NAME = "ngx_greeting.so"
CONFIGURATION = """
load_module {folder}/ngx_greeting.so;
user root;
worker_processes 2;
daemon off;
pid nginx.pid;
error_log stderr notice;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port};
        keepalive_requests 20;
        location / {{ greeting; }}
    }}
}}
"""


@pytest.fixture(scope="module")
def headers(shared: Path) -> list[str]:
    """The compiler's flags for modules of Debian's nginx, whose features have to be the same (--with-compat)."""
    source = made_once(shared / "nginx", _configure)
    pcre, zlib = package("libpcre2-dev"), package("zlib1g-dev")
    folders = ("src/core", "src/event", "src/event/modules", "src/os/unix", "src/http", "src/http/modules", "objs")
    return ["-w", f"-I{pcre}/usr/include", f"-I{zlib}/usr/include", *(f"-I{source / it}" for it in folders)]


def _configure(source: Path) -> None:
    shutil.copytree(package("nginx-dev") / "usr/share/nginx/src", source)
    pcre, zlib = package("libpcre2-dev"), package("zlib1g-dev")
    subprocess.run(
        [
            *("sh", "./configure", "--with-compat", "--with-debug", "--with-threads"),
            f"--with-cc-opt=-I{pcre}/usr/include -I{zlib}/usr/include",
            f"--with-ld-opt=-L{pcre}/{LIBRARIES} -L{zlib}/{LIBRARIES}",
        ],
        check=True,
        cwd=source,
        env=os.environ | {"PATH": f"{pcre}/usr/bin:{os.environ['PATH']}"},
        capture_output=True,
    )


class Server:
    """nginx, a master and two workers, with the module."""

    def __init__(self, bench: Bench, headers: list[str]) -> None:
        self.bench, self.headers, self.port = bench, headers, free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.build(1)
        text = CONFIGURATION.format(folder=bench.folder, port=self.port)
        (bench.folder / "nginx.conf").write_text(text)
        nginx = package("nginx") / "usr/sbin/nginx"
        path = str(package("libssl3") / LIBRARIES)  # nginx wants at least the one that it was built with
        self.program: Program = bench.run(
            nginx, "-p", bench.folder, "-c", bench.folder / "nginx.conf", LD_LIBRARY_PATH=path, LIVE_LOGLEVEL="1"
        )
        for pid in (self.program.pid, *self.workers()):
            bench.library(pid, NAME)

    def build(self, version: int) -> None:
        flags = ("-O2", "-g", "-fPIC", "-shared", f"-DVERSION={version}", *self.headers)
        self.bench.compile(PROGRAMS / "ngx_greeting.c", NAME, *flags)

    def update(self, version: int) -> None:
        self.build(version)
        self.bench.wait_for_version(NAME, NAME, self.program.pid, *self.workers())

    def workers(self) -> list[int]:
        return self.program.children(2)

    def ask(self) -> tuple[int, int, int, int, int]:
        """The versions of header filter, handler and what this calls; how often which process was asked."""
        with urllib.request.urlopen(self.url) as answer:
            found = re.match(r"handler (\d), called (\d), asked (\d+) in (\d+)$", answer.read().decode())
            assert found
            handler, called, asked, pid = map(int, found.groups())
            return int(answer.headers["X-Filter"]), handler, called, asked, pid

    def load(self) -> Program:
        return self.bench.run_plain("wrk", "-t1", "-c8", "-d600s", self.url)


@pytest.fixture
def server(bench: Bench, headers: list[str]) -> Iterator[Server]:
    server = Server(bench, headers)
    yield server
    server.program.process.terminate()  # the master ends its workers, too
    server.program.end()


def test_a_modules_handlers_are_new_at_once(server: Server) -> None:
    """nginx keeps the handlers in its own memory from the moment that it read its configuration: their addresses lead
    on."""
    workers, load = server.workers(), server.load()
    for version in (2, 3):
        server.update(version)
        filter_, handler, called, _asked, pid = server.ask()
        assert (filter_, handler, called) == (version, version, version)
        assert pid in workers
        wait_until(lambda: server.ask()[3] > 10, "requests of the load")
    assert server.workers() == workers
    expect_no_failure(load)
    server.program.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not {*server.workers()} & {*workers}, "other workers")
    wait_until(lambda: server.ask()[:3] == (3, 3, 3), "handlers of version 3")
    subprocess.run(["wrk", "-t1", "-c4", "-d1s", server.url], check=True, capture_output=True)
    ends = wait_until(
        lambda: len(found := [it for it in server.program.error_lines if "greeting ends" in it]) == 2 and found,
        "the ends of both workers",
    )
    assert all("version 3" in line for line in ends), ends
    for pid in server.workers():
        server.bench.library(pid, NAME)
    server.update(2)
    assert server.ask()[:3] == (2, 2, 2)
