"""What live.so is called: that of another machine than the daemon's has its name."""

import os

from liveso.machine import MACHINES

AGENT_NAMES = frozenset({"live.so", *(f"live-{it.name}.so" for it in MACHINES.values())})


def is_agent(path: str) -> bool:
    """Whether the file at `path`, as a memory map shows it, is live.so by its name."""
    return os.path.basename(path.removesuffix(" (deleted)")) in AGENT_NAMES
