"""Rules and dashboard, with Debian's Prometheus, which scrapes a daemon that serves real processes."""

import json
import re
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bench.compatibility.offers import Offers
from tests.harness import Bench, wait_until
from tests.integration.test_compatibility import CACHE
from tests.integration.test_history import answering, start, to

__all__ = ["answering"]

_PACKAGING = Path(__file__).parents[2] / "packaging"
_RULES = _PACKAGING / "prometheus" / "liveso.rules.yml"


@pytest.fixture(scope="module")
def prometheus() -> Path:
    """Where Debian's Prometheus is unpacked."""
    return Offers(CACHE).root("bookworm", ("prometheus",)) / "usr/bin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A Prometheus of a test's own."""

    def __init__(self, command: Path, folder: Path, scraped: int) -> None:
        self.port = free_port()
        config = folder / "prometheus.yml"
        config.write_text(
            f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{_RULES}]\n"
            f"scrape_configs:\n- job_name: liveso\n  static_configs: [{{targets: ['127.0.0.1:{scraped}']}}]\n"
        )
        options = [f"--config.file={config}", f"--storage.tsdb.path={folder}/data"]
        self.log = (folder / "prometheus.log").open("wb")
        self.process = subprocess.Popen(
            [command, *options, f"--web.listen-address=127.0.0.1:{self.port}"],
            stdout=self.log,
            stderr=self.log,
        )

    def ask(self, path: str, **question: str) -> Any:
        address = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(question)}"
        with suppress(OSError), urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)["data"]
        return None

    def query(self, expression: str) -> list[Any]:
        return list((self.ask("query", query=expression) or {"result": ()})["result"])

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture
def scraped(prometheus: Path, answering: Bench) -> Iterator[tuple[Bench, Server]]:
    port = free_port()
    answering.environment["LIVE_METRICS"] = f"127.0.0.1:{port}"
    answering.start_daemon()
    server = Server(prometheus / "prometheus", answering.folder, port)
    yield answering, server
    server.close()


def expressions() -> list[str]:
    """Those of the dashboard, with what its user chooses."""
    board = json.loads((_PACKAGING / "grafana" / "liveso.json").read_text())
    chosen = {"$job": "liveso", "$instance": ".*", "$__rate_interval": "1m"}
    return [
        re.sub(r"\$\w+", lambda name: chosen[name[0]], target["expr"])
        for panel in board["panels"]
        for target in panel["targets"]
    ]


def test_the_rules_are_rules_and_the_figures_are_well_formed(prometheus: Path, answering: Bench) -> None:
    checked = subprocess.run([prometheus / "promtool", "check", "rules", _RULES], capture_output=True, text=True)
    assert checked.returncode == 0 and "5 rules found" in checked.stdout, checked
    port = free_port()
    answering.environment["LIVE_METRICS"] = f"127.0.0.1:{port}"
    answering.start_daemon()
    to(answering, start(answering), 2)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        shown = answer.read().decode()
    assert "liveso_targets" in shown
    checked = subprocess.run([prometheus / "promtool", "check", "metrics"], input=shown, capture_output=True, text=True)
    assert checked.returncode == 0, checked


def test_each_expression_of_the_dashboard_finds_something(scraped: tuple[Bench, Server]) -> None:
    bench, server = scraped
    program = start(bench)
    wait_until(lambda: server.query('liveso_targets{mode="visited"} or liveso_targets{mode="resident"}'), "a scrape")
    to(bench, program, 2)
    bench.compile("int other(void) { return 4; }", "libanswer.4.so", "-fPIC", "-shared", "-Wl,-soname,libanswer.so")
    bench.link("libanswer.4.so", "libanswer.so")
    bench.wait_for_result(program.pid, "libanswer.so", "refused")
    asked = expressions()
    assert len(asked) == 9
    for expression in asked:
        wait_until(lambda it=expression: server.query(it), expression)  # type: ignore[misc]


def test_the_alerts_say_what_is_wrong(scraped: tuple[Bench, Server]) -> None:
    bench, server = scraped
    program = start(bench)
    bench.compile("int other(void) { return 4; }", "libanswer.4.so", "-fPIC", "-shared", "-Wl,-soname,libanswer.so")
    bench.link("libanswer.4.so", "libanswer.so")
    bench.wait_for_result(program.pid, "libanswer.so", "refused")

    def states() -> dict[str, str]:
        return {it["labels"]["alertname"]: it["state"] for it in (server.ask("alerts") or {"alerts": ()})["alerts"]}

    wait_until(
        lambda: states().get("LivesoServicesRunOldCode") == "pending", lambda: str(states())
    )  # it waits for 15 minutes
    bench.kill_daemon()
    wait_until(lambda: states().get("LivesoDown") == "pending", lambda: str(states()))
    assert program.process.poll() is None
