"""What a service manager hears of a daemon that it started (sd_notify(3))."""

import socket
from pathlib import Path

from tests.harness import LIVESO, Bench, wait_until


def listen(path: Path) -> socket.socket:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(path))
    manager.settimeout(60)
    return manager


def test_it_is_told_when_the_daemon_listens_and_when_it_ends(idle_bench: Bench) -> None:
    with listen(idle_bench.folder / "notify") as manager:
        daemon = idle_bench.run_plain(LIVESO, "daemon", NOTIFY_SOCKET=str(idle_bench.folder / "notify"))
        assert manager.recv(99) == b"READY=1"
        assert Path(idle_bench.environment["LIVE_SOCKET"] + ".api").is_socket()
        daemon.process.terminate()
        assert manager.recv(99) == b"STOPPING=1"
        assert daemon.end() == 0


def test_one_that_does_not_listen_is_no_reason_not_to_serve(idle_bench: Bench) -> None:
    daemon = idle_bench.run_plain(LIVESO, "daemon", NOTIFY_SOCKET=str(idle_bench.folder / "nobody"))
    daemon.wait_for_error("event=started")
    idle_bench.compile("#include <unistd.h>\nint main(void) { return pause(); }", "program")
    program = idle_bench.run("./program")
    wait_until(lambda: [it["pid"] for it in idle_bench.status()] == [program.pid], "the program is served")
