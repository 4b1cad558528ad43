"""Debian's nginx with TLS and gzip, master and two workers, under load, while its libraries change."""

import hashlib
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.harness import LIVESO, Bench, Program
from tests.packages import LIBRARIES, OPENSSL, PCRE2, package

CONFIGURATION = """
user root;
worker_processes 2;
daemon off;
pid nginx.pid;
error_log stderr notice;
events {{ worker_connections 256; }}
http {{
    access_log off;
    gzip on; gzip_min_length 1; gzip_types text/plain;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate cert.pem; ssl_certificate_key key.pem;
        keepalive_requests 20;
        location ~ ^/(?<name>[a-z]+)/\\d+$ {{ default_type text/plain; return 200 "$name: {text}"; }}
    }}
}}
"""

CHANGES = (
    ("libcrypto.so.3", "libssl3", *OPENSSL[1:]),
    ("libpcre2-8.so.0", "libpcre2-8-0", *PCRE2),
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def install(bench: Bench, name: str, library: str, version: str) -> Path:
    """Lead the link to the file of a library's version, and return that."""
    file = package(name, version) / LIBRARIES / library
    bench.link(str(file), f"lib/{library}")
    return file


def start(bench: Bench, port: int, *, is_prepared: bool = True) -> tuple[Program, list[int]]:
    """Start nginx with the old versions, with live.so where it `is_prepared`, else attached while it runs; its master,
    and the process numbers of the master and both workers."""
    bench.take_verdicts()
    (bench.folder / "lib").mkdir()
    for library, name, before, _after in CHANGES:
        install(bench, name, library, before)
    install(bench, "libssl3", "libssl.so.3", CHANGES[0][2])
    request = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    subprocess.run(request.split(), check=True, cwd=bench.folder, capture_output=True)
    (bench.folder / "nginx.conf").write_text(CONFIGURATION.format(port=port, text="some text to compress " * 50))
    nginx = package("nginx") / "usr/sbin/nginx"
    path = f"{bench.folder}/lib:{package('zlib1g') / 'lib/x86_64-linux-gnu'}"
    start_it = bench.run if is_prepared else bench.run_plain
    program = start_it(
        nginx, "-p", bench.folder, "-c", bench.folder / "nginx.conf", LD_LIBRARY_PATH=path, LIVE_LOGLEVEL="1"
    )
    pids = [program.pid, *program.children(2)]
    if not is_prepared:
        attach = [str(LIVESO), "attach", *map(str, pids)]
        subprocess.run(attach, check=True, env=bench.environment, capture_output=True)
    for pid in pids:
        for library, *_rest in CHANGES:
            bench.library(pid, library)
    return program, pids


def start_load(bench: Bench, url: str) -> Program:
    return bench.run_plain("wrk", "-t1", "-c16", "-d600s", "-H", "Accept-Encoding: gzip", url)


def end_load(load: Program, url: str) -> None:
    """No request may have failed, nor may one afterwards. Each twentieth of a connection begins with a handshake."""
    subprocess.run(["wrk", "-t1", "-c4", "-d2s", url], check=True, capture_output=True)
    expect_no_failure(load)


def expect_no_failure(load: Program) -> None:
    """End a load, in which no request may have failed."""
    assert load.process.poll() is None, load.output()
    load.process.send_signal(signal.SIGINT)  # wrk(1) prints its sums then
    assert load.end() == 0
    shown = load.output()
    requests = re.search(r"(\d+) requests in", shown)
    assert requests and int(requests[1]) > 100, shown
    assert "Socket errors" not in shown and "Non-2xx" not in shown, shown


def test_no_request_fails_while_libraries_change(idle_bench: Bench) -> None:
    """pcre2's just-in-time compiler moved members of a structure that lives during one call only: code without debug
    information cannot tell that from one that stays, so the strict verdict would refuse it."""
    bench = idle_bench
    bench.environment["LIVE_POLICY"] = "elf"
    bench.start_daemon()
    port = free_port()
    program, pids = start(bench, port)
    url = f"https://127.0.0.1:{port}/page/1"
    load = start_load(bench, url)
    for library, name, _before, after in CHANGES:
        bench.wait_for_version(install(bench, name, library, after), library, *pids)
    end_load(load, url)
    assert [program.pid, *program.children(2)] == pids, program.output()
    program.process.terminate()
    assert program.end() == 0


@pytest.mark.parametrize("is_prepared", [True, False], ids=["prepared", "attached"])
def test_no_request_fails_while_libcrypto_goes_in_and_libssl_is_refused(bench: Bench, is_prepared: bool) -> None:
    port = free_port()
    program, pids = start(bench, port, is_prepared=is_prepared)
    url = f"https://127.0.0.1:{port}/page/1"
    load = start_load(bench, url)
    libcrypto, _name, before, after = CHANGES[0]
    for library in ("libssl.so.3", libcrypto):
        install(bench, "libssl3", library, after)
    stays = hashlib.sha256((package("libssl3", before) / LIBRARIES / "libssl.so.3").read_bytes()).hexdigest()
    for pid in pids:
        bench.wait_for_library(pid, libcrypto, result="updated")
        bench.wait_for_library(pid, "libssl.so.3", result="refused", version=stays)
    end_load(load, url)
    assert [program.pid, *program.children(2)] == pids, program.output()
    program.process.terminate()
    assert program.end() == 0
