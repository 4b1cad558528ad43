"""What the daemon answers: strings that each reader takes, and all targets but the one that cannot be shown."""

import asyncio
import json
import os
import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveso.daemon.api import answer
from liveso.encoding import encodable


def original(text: str) -> bytes:
    """As docs/commands.md says that the escapes are undone."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda it: bytes.fromhex(it[1].decode()), text.encode())


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"/lib/libfoo.so", "/lib/libfoo.so"),
        ("/lib/libfoö.so".encode(), "/lib/libfoö.so"),
        (b"/lib/lib\xff.so", r"/lib/lib\xff.so"),
        (rb"/lib/lib\xff.so", r"/lib/lib\x5cxff.so"),
        (b"/lib/\\\xff", r"/lib/\\xff"),
        (b"\xed\xa0\x80", r"\xed\xa0\x80"),
    ],
)
def test_bytes_that_are_no_text_are_escaped(path: bytes, shown: str) -> None:
    assert encodable(os.fsdecode(path)) == shown and original(shown) == path


@given(st.binary() | st.lists(st.sampled_from([b"\\", b"x", b"5c", b"\xff", b"f", b"\xc3"])).map(b"".join))
def test_the_escape_can_be_undone(path: bytes) -> None:
    assert original(encodable(os.fsdecode(path))) == path


def ask(targets: list[Any], view: Any) -> Any:
    async def collect() -> str:
        return "".join([part async for part in answer({"pid": 5, "problems": ["\udcff"]}, targets, view)])

    return json.loads(asyncio.run(collect()))


def served(pid: int) -> Any:
    return SimpleNamespace(pid=pid, command=f"program {pid}")


def test_one_target_that_cannot_be_shown_does_not_hide_the_others() -> None:
    def view(it: Any) -> dict[str, object]:
        return {"pid": it.pid, "bad": {1: 1 / it.pid, 2: object()}[it.pid]}

    shown = ask([served(0), served(1), served(2)], view)["targets"]
    assert [it["pid"] for it in shown] == [0, 1, 2] and shown[1]["bad"] == 1.0
    assert "cannot be shown (ZeroDivisionError)" in shown[0]["note"] and shown[0]["command"] == "program 0"
    assert "cannot be shown (TypeError)" in shown[2]["note"]


@pytest.mark.parametrize("number", [0, 1, 5000])
def test_the_answer_is_complete(number: int) -> None:
    got = ask([served(it) for it in range(number)], lambda it: {"pid": it.pid, "path": "/\udcff"})
    assert got["pid"] == 5 and got["problems"] == [r"\xff"]
    assert got["targets"] == [{"pid": it, "path": r"/\xff"} for it in range(number)]
