"""Debian's OpenSSL in Debian's Python, which shakes hands all the while."""

import hashlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import Bench, Program, wait_until
from tests.packages import LIBRARIES, OPENSSL, package

LIBCRYPTO, LIBSSL = "libcrypto.so.3", "libssl.so.3"
SCRIPT = Path(__file__).parent / "programs" / "tls_loop.py"
BEFORE, AFTER, SECURITY = OPENSSL


def file_of(library: str, version: str) -> Path:
    return package("libssl3", version) / LIBRARIES / library


def install(bench: Bench, library: str, version: str) -> None:
    """Lead the link through which the program loads a library to the file of a version."""
    bench.link(str(file_of(library, version)), f"lib/{library}")


Install = Callable[[Bench, str, str], None]
"""Puts a version of a library in its place."""


def digest_of(library: str, version: str) -> str:
    return hashlib.sha256(file_of(library, version).read_bytes()).hexdigest()


def interpreter() -> tuple[str, dict[str, str], list[str]]:
    """Debian's Python: the command, its environment, and folders of libraries that it needs."""
    minimal, rest = package("libpython3.11-minimal"), package("libpython3.11-stdlib")
    environment = {
        "PYTHONHOME": str(minimal / "usr"),
        "PYTHONPATH": f"{rest}/usr/lib/python3.11:{rest}/usr/lib/python3.11/lib-dynload",
    }
    folders = [str(package(name) / LIBRARIES) for name in ("libexpat1", "libffi8", "zlib1g")]
    folders += [str(package(name) / "lib/x86_64-linux-gnu") for name in ("libexpat1", "zlib1g")]
    return str(package("python3.11-minimal") / "usr/bin/python3.11"), environment, folders


def make_certificate(bench: Bench) -> None:
    request = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    subprocess.run(
        [*request.split(), "-addext", "subjectAltName=DNS:localhost"], check=True, cwd=bench.folder, capture_output=True
    )


def start(bench: Bench, version: str, install: Install = install) -> Program:
    """Start the loop with a version of both libraries, and wait until it is served."""
    bench.take_verdicts()
    (bench.folder / "lib").mkdir()
    for library in (LIBCRYPTO, LIBSSL):
        install(bench, library, version)
    make_certificate(bench)
    command, environment, folders = interpreter()
    path = ":".join([str(bench.folder / "lib"), *folders])
    program = bench.run(command, "-s", SCRIPT, "cert.pem", "key.pem", LD_LIBRARY_PATH=path, **environment)
    program.wait_for(f"OpenSSL {version.split('-')[0]}")
    for library in (LIBCRYPTO, LIBSSL):
        bench.wait_for_library(program.pid, library, version=digest_of(library, version))
    return program


def handshakes(program: Program) -> int:
    """How many there have been so far. None of them, and no hash, may have failed."""
    found = re.match(r"handshakes (\d+) failures (\d+) wrong (\d+) ", program.lines[-1])
    assert found and found[2] == found[3] == "0", program.output()
    return int(found[1])


def expect_more_handshakes(program: Program, count: int) -> None:
    """Wait until there have been `count` more."""
    start = handshakes(program)

    def are_there() -> bool:
        assert program.process.poll() is None, f"ended with {program.process.returncode}: {program.output()}"
        return handshakes(program) >= start + count

    wait_until(are_there, f"{count} more handshakes")


def update(
    bench: Bench, program: Program, libraries: tuple[str, ...], version: str, install: Install = install
) -> None:
    """Change libraries on disk, and wait until the running program calls and has the new ones."""
    assert bench.daemon
    lines, seen = len(program.lines), len(bench.daemon.error_lines)
    for library in libraries:
        install(bench, library, version)
    for library in libraries:
        text = f"event=updated pid={program.pid} library={bench.folder}/lib/{library}"
        digest = f"version={digest_of(library, version)[:12]}"
        await_line(bench.daemon, program, seen, text, digest)
        bench.wait_for_library(program.pid, library, result="updated", version=digest_of(library, version))
    if LIBCRYPTO in libraries:
        program.wait_for(f"OpenSSL {version.split('-')[0]}", after=lines)


def await_line(daemon: Program, program: Program, after: int, *texts: str) -> None:
    """Wait for a line of the daemon's log with all `texts` in it; the program must live on meanwhile."""

    def is_there() -> bool:
        assert program.process.poll() is None, f"ended with {program.process.returncode}: {program.output()}"
        return any(all(text in line for text in texts) for line in daemon.error_lines[after:])

    try:
        wait_until(is_there, " ".join(texts))
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *daemon.error_lines[after:]])) from error


def end(program: Program) -> None:
    assert program.end() == 0, program.output()
    handshakes(program)


def test_handshakes_go_on_while_openssl_is_replaced(bench: Bench) -> None:
    program = start(bench, BEFORE)
    expect_more_handshakes(program, 20)
    update(bench, program, (LIBCRYPTO, LIBSSL), AFTER)
    expect_more_handshakes(program, 300)
    program.wait_for("OpenSSL 3.0.20", after=len(program.lines))
    end(program)


def test_libcrypto_alone_takes_a_security_update(bench: Bench) -> None:
    program = start(bench, AFTER)
    update(bench, program, (LIBCRYPTO,), SECURITY)
    expect_more_handshakes(program, 300)
    bench.wait_for_library(program.pid, LIBSSL, result="current")
    end(program)


def test_libcrypto_goes_in_although_libssl_which_came_with_it_is_refused(bench: Bench) -> None:
    program = start(bench, AFTER)
    for library in (LIBSSL, LIBCRYPTO):
        install(bench, library, SECURITY)
    bench.wait_for_library(program.pid, LIBCRYPTO, result="updated", version=digest_of(LIBCRYPTO, SECURITY))
    bench.wait_for_library(program.pid, LIBSSL, result="refused", version=digest_of(LIBSSL, AFTER))
    expect_more_handshakes(program, 300)
    end(program)


def test_libssl_waits_for_a_libcrypto_that_is_refused_whoever_comes_first_and_whatever_daemon(bench: Bench) -> None:
    program = start(bench, BEFORE)
    content = file_of(LIBCRYPTO, AFTER).read_bytes()
    (bench.folder / "broken.so").write_bytes(content.replace(b"\0libcrypto.so.3\0", b"\0libcrypto.so.9\0"))
    bench.link("../broken.so", f"lib/{LIBCRYPTO}")  # another SONAME
    bench.wait_for_library(program.pid, LIBCRYPTO, result="refused")
    install(bench, LIBSSL, AFTER)
    bench.wait_for_library(program.pid, LIBSSL, result="held back", waits_for=[LIBCRYPTO])
    bench.kill_daemon()
    bench.start_daemon()
    bench.wait_for_library(program.pid, LIBSSL, result="held back", version=digest_of(LIBSSL, BEFORE))
    expect_more_handshakes(program, 100)
    install(bench, LIBCRYPTO, AFTER)
    for library in (LIBCRYPTO, LIBSSL):
        bench.wait_for_library(program.pid, library, result="updated", version=digest_of(library, AFTER))
    expect_more_handshakes(program, 100)
    end(program)


@pytest.mark.parametrize("libraries", [(LIBCRYPTO, LIBSSL), (LIBSSL, LIBCRYPTO)], ids=["crypto-first", "ssl-first"])
def test_openssl_goes_back_and_forth_between_versions(bench: Bench, libraries: tuple[str, ...]) -> None:
    program = start(bench, BEFORE)
    for version in (AFTER, BEFORE) * 3:
        update(bench, program, libraries, version)
        expect_more_handshakes(program, 30)
    bench.wait_for_library(program.pid, LIBCRYPTO, versions_loaded=2)
    end(program)
