"""The agent's C header and the daemon's Python say the same of the protocol."""

import re
from pathlib import Path

from liveso.process import protocol
from liveso.process.protocol import Kind, Mode, Status

HEADER = (Path(__file__).parents[2] / "src/liveso/agent/protocol.h").read_text()


def numbers(pattern: str) -> dict[str, int]:
    """The constants in a block of the header that `pattern` opens."""
    block = re.search(pattern + r" \{(.*?)\};", HEADER, re.S)
    assert block
    return {name: int(value) for name, value in re.findall(r"LIVE_(\w+)\s*=\s*(\d+)", block[1])}


def test_kinds_of_messages_are_the_same() -> None:
    assert numbers("enum live_kind") == {kind.name: int(kind) for kind in Kind}


def test_modes_are_the_same() -> None:
    assert numbers("enum live_mode") == {mode.name: int(mode) for mode in Mode}
    assert f"sizeof(struct live_area) == {protocol.AREA.size}" in HEADER


def test_statuses_are_the_same() -> None:
    assert numbers("enum live_status") == {status.name: int(status) for status in Status}


def test_version_and_sizes_are_the_same() -> None:
    assert numbers("enum") == {
        "PROTOCOL": protocol.PROTOCOL,
        "TEXT_SIZE": protocol.TEXT_SIZE,
        "AREA": protocol.AREA_VERSION,
        "SOCKET_SIZE": protocol.SOCKET_SIZE,
        "STACK_SIZE": protocol.STACK_SIZE,
    }
    assert f"sizeof(struct live_message) == {protocol.HEAD.size} + LIVE_TEXT_SIZE" in HEADER
