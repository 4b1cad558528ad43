"""What the page answers: its files, the events, what is known of a cell, and what a person does."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from liveso.errors import Declined, ExitCode, LivesoError
from liveso.page.evidence import Evidence
from liveso.page.feed import Feed
from liveso.page.guard import Guard
from liveso.page.view import cell
from liveso.services.acts import Acts, Found, find_cell

_STATIC = Path(__file__).parent / "static"
_LONGEST_QUESTION = 16384  # bytes
_DIGEST_DIGITS = frozenset("0123456789abcdef")
Json = dict[str, Any]


def make_app(feed: Feed, acts: Acts, evidence: Evidence, ask_packages: Callable[[], Json], token: str) -> ASGIApp:
    """`ask_packages` gives the daemon's answer to `/packages`."""

    async def index(_request: Request) -> Response:
        return FileResponse(_STATIC / "index.html")

    async def events(_request: Request) -> Response:
        return StreamingResponse(_closed(feed.events()), media_type="text/event-stream")

    async def one_cell(request: Request) -> Json:
        service, library = (request.query_params.get(it, "") for it in ("service", "library"))
        status = await asyncio.to_thread(acts.ask)
        return {"states": cell(find_cell(status, service, library))}

    async def cves(request: Request) -> Json:
        service, library = (request.query_params.get(it, "") for it in ("service", "library"))
        status = await asyncio.to_thread(acts.ask)
        return await asyncio.to_thread(_cves, ask_packages, find_cell(status, service, library))

    async def compared(request: Request) -> Json:
        old, new = (request.query_params.get(it, "") for it in ("old", "new"))
        if not all(len(it) == 64 and _DIGEST_DIGITS.issuperset(it) for it in (old, new)):
            raise Declined("two versions are expected, by their SHA-256", ExitCode.BAD_INPUT)
        status = await asyncio.to_thread(acts.ask)
        pairs = {(it.version, it.refused_version) for target in status.targets for it in target.libraries}
        if (old, new) not in pairs:  # nobody has the page compare whatever lies in the store
            raise Declined("no process runs the one while the other is refused; look again", ExitCode.NO)
        return await evidence.between(old, new)

    async def act(request: Request) -> Json:
        question = await _question(request)
        return await asyncio.to_thread(acts.act, request.path_params["act"], question)

    routes = [
        Route("/", index),
        Route("/events", events),
        Route("/cell", _answering(one_cell)),
        Route("/cves", _answering(cves)),
        Route("/evidence", _answering(compared)),
        Route("/act/{act:str}", _answering(act), methods=["POST"]),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    return Guard(Starlette(routes=routes), token)


def _cves(ask_packages: Callable[[], Json], found: Found) -> Json:
    from liveso.page.fixes import fixes  # reads changelogs, which nothing else here does

    try:
        return fixes(ask_packages(), found)
    except (KeyError, TypeError, ValueError) as error:
        raise Declined(
            f"what the daemon knows of packages is not understood ({type(error).__name__})", ExitCode.NO
        ) from error


async def _closed(events: AsyncIterator[str]) -> AsyncIterator[str]:
    """The same; what gives them is told at once when nobody takes any more."""
    try:
        async for it in events:
            yield it
    finally:
        await events.aclose()  # type: ignore[attr-defined]


def _answering(work: Callable[[Request], Awaitable[Json]]) -> Callable[[Request], Awaitable[Response]]:
    async def answering(request: Request) -> Response:
        try:
            return JSONResponse(await work(request))
        except LivesoError as error:
            return JSONResponse({"error": str(error)})

    return answering


async def _question(request: Request) -> Json:
    """The JSON object of a request. Raises Declined where it is none."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > _LONGEST_QUESTION:
            raise Declined("the question is too long", ExitCode.BAD_INPUT)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Declined("a JSON object is expected", ExitCode.BAD_INPUT)
    return found
