"""Which requests the page answers."""

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from liveso.errors import UnsafePath
from liveso.page.guard import Guard, refusal
from liveso.page.token import kept_token

HOST = {"host": "127.0.0.1:7357"}
TOKEN = "right"


def refused(method: str = "GET", **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in {**HOST, **headers}.items()}
    found = refusal(method, Headers(named), TOKEN)
    return found[0] if found else 0


@pytest.mark.parametrize("host", ["127.0.0.1:7357", "localhost", "LOCALHOST:80", "[::1]:7357"])
def test_the_loopback_interface_is_answered(host: str) -> None:
    assert refused(host=host) == 0


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:7357", "127.0.0.1.evil.example", "localhost@evil.example", "127.0.0.2"]
)
def test_a_name_that_was_made_to_lead_here_is_not(host: str) -> None:
    assert refused(host=host) == 421


def test_another_site_may_not_send_nor_read() -> None:
    for origin in ("http://evil.example", "null", "http://127.0.0.1:8000", "file://"):
        assert refused(origin=origin) == 403
        assert refused("POST", origin=origin, x_liveso_token=TOKEN) == 403
    assert refused(sec_fetch_site="cross-site") == 403
    assert refused(sec_fetch_site="same-site") == 403  # another port of this machine
    assert refused(origin="http://127.0.0.1:7357", sec_fetch_site="same-origin") == 0


def test_what_changes_something_needs_the_token() -> None:
    assert refused("POST") == 401
    for wrong in ("", "wrong", "righ", "rightt", "r\xefght"):
        assert refused("POST", x_liveso_token=wrong) == 401
    assert refused("DELETE") == 401
    assert refused("POST", x_liveso_token=TOKEN) == 0


def test_each_answer_tells_browsers_to_do_no_more_with_it() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(_scope: Any, _receive: Any, answer: Any) -> None:
        await answer({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        raise AssertionError

    for host in (b"localhost", b"evil.example"):
        scope = {"type": "http", "method": "GET", "headers": [(b"host", host)]}
        asyncio.run(Guard(app, TOKEN)(scope, receive, send))
    starts = [dict(it["headers"]) for it in sent if it["type"] == "http.response.start"]
    assert len(starts) == 2
    for headers in starts:
        policy = headers[b"content-security-policy"].decode()
        assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy and "unsafe" not in policy
        assert headers[b"x-content-type-options"] == b"nosniff"


def test_the_token_is_in_a_file_of_this_users_alone_while_the_page_runs(tmp_path: Path) -> None:
    file = tmp_path / "page.token"
    with kept_token(file) as token:
        assert file.read_text() == f"{token}\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not file.exists()
    with kept_token(file), kept_token(file) as newer:
        pass
    assert not file.exists()
    with kept_token(file) as token:
        assert token != newer


def test_the_token_is_not_put_where_others_could_take_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(UnsafePath, match="can be written by other users"), kept_token(tmp_path / "page.token"):
        pass
