"""Runs the page until it is told to end."""

import asyncio
import signal
import socket
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import uvicorn

from liveso.client.ask import ask_daemon
from liveso.page.app import make_app
from liveso.page.evidence import Evidence
from liveso.page.feed import Feed
from liveso.page.timeline import TimeLine
from liveso.services.acts import acts_by_daemon
from liveso.settings import Settings

_PACKAGES_LIMIT = 60.0  # seconds: the packages of what has just come are looked up first


def serve(settings: Settings, listener: socket.socket, token: str) -> bool:
    """Answer at `listener` until SIGTERM, or SIGINT: whether it was the latter."""
    return asyncio.run(_serve(settings, listener, token))


async def _serve(settings: Settings, listener: socket.socket, token: str) -> bool:
    acts = acts_by_daemon(settings)
    feed = Feed(acts.ask, TimeLine(settings.history).entries)
    app = make_app(feed, acts, Evidence(settings.store, settings.policy), partial(_ask_packages, settings), token)
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    loop, ended_by = asyncio.get_running_loop(), set[int]()

    def end(number: int) -> None:
        ended_by.add(number)
        server.should_exit = True
        loop.create_task(feed.end())

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    await server.serve([listener])
    return signal.SIGINT in ended_by


def _ask_packages(settings: Settings) -> dict[str, Any]:
    return ask_daemon(settings, "/packages", limit=_PACKAGES_LIMIT)


class _Server(uvicorn.Server):
    """Signals are handled here, since what was made must be removed first."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()
