"""What the daemon tells the `liveso` command: HTTP on a Unix socket."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from liveso import __version__
from liveso.daemon.asker import Asked, person
from liveso.daemon.log import log
from liveso.daemon.service import Service
from liveso.daemon.state import Shown, view
from liveso.encoding import encodable
from liveso.errors import Declined, ExitCode, LivesoError

_PART = 16384  # characters: some milliseconds of work
_LONGEST_QUESTION = 65536  # bytes
_LONGEST_WAIT = 600.0  # seconds


def make_server(service: Service) -> uvicorn.Server:
    async def status(_request: Request) -> Response:
        daemon = {"pid": os.getpid(), "version": __version__, "problems": service.problems}
        targets: list[Shown] = [*service.registry.targets.values(), *await service.not_served()]
        return StreamingResponse(answer(daemon, targets, view), media_type="application/json")

    async def allow(request: Request) -> dict[str, object]:
        library, version = await _texts(request, "library", "version")
        return await service.allow(library, version, _asker(request))

    async def rollback(request: Request) -> dict[str, object]:
        library, version, pids, wait = await _texts(request, "library", "version", "pids", "wait")
        return await service.rolling_back.rollback(library, version, _pids(pids), _seconds(wait), _asker(request))

    async def resume(request: Request) -> dict[str, object]:
        library, pids = await _texts(request, "library", "pids")
        return await service.rolling_back.resume(library, _pids(pids), _asker(request))

    async def attach(request: Request) -> dict[str, object]:
        return _noted(await service.attaching.attach(await _numbers(request)))

    async def detach(request: Request) -> dict[str, object]:
        return _noted(await service.attaching.detach(await _numbers(request)))

    async def packages(_request: Request) -> Response:
        return JSONResponse(encodable(await service.packages.answer()))

    async def prejudge(request: Request) -> dict[str, object]:
        (archives,) = await _texts(request, "archives")
        return await service.unpacking.prejudge([Path(it) for it in archives.splitlines() if it.startswith("/")])

    async def unpacked(request: Request) -> dict[str, object]:
        pid, wait = await _texts(request, "pid", "wait")
        return await service.unpacking.unpacked(_pids(pid)[0] if pid.strip() else 0, _seconds(wait))

    routes = [
        Route("/status", status),
        _metrics_of(service),
        Route("/packages", packages),
        *(
            Route(f"/{it.__name__}", _answering(it), methods=["POST"])
            for it in (allow, rollback, resume, attach, detach, prejudge, unpacked)
        ),
    ]
    return _server(routes)


def make_metrics_server(service: Service) -> uvicorn.Server:
    """What everybody may read who can connect."""
    return _server([_metrics_of(service)])


def _metrics_of(service: Service) -> Route:
    async def metrics(request: Request) -> Response:
        return service.metrics.answer(request.headers.get("accept", ""))

    return Route("/metrics", metrics)


def _server(routes: list[Route]) -> uvicorn.Server:
    app = Starlette(routes=routes)
    config = uvicorn.Config(
        app, http=Asked, lifespan="off", log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=1
    )
    return _QuietServer(config)


def _asker(request: Request) -> str:
    return person(*request.client) if request.client else ""


async def _texts(request: Request, *names: str) -> list[str]:
    """The values of a JSON object's fields. Raises Declined where they are not there."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > _LONGEST_QUESTION:
            raise _expected(names)
    try:
        fields = json.loads(content)
        return [_text(fields[name]) for name in names]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _expected(names) from None


def _answering(work: Callable[[Request], Awaitable[dict[str, object]]]) -> Callable[[Request], Awaitable[Response]]:
    """What answers a question where something is to be done: with what came of it, or with why it is declined."""

    async def answering(request: Request) -> Response:
        try:
            return JSONResponse(encodable(await work(request)))
        except LivesoError as error:
            return JSONResponse({"error": encodable(str(error)), "exit_code": error.exit_code})

    return answering


def _noted(notes: Mapping[int, str]) -> dict[str, object]:
    return {"notes": {str(pid): note for pid, note in notes.items()}}


async def _numbers(request: Request) -> list[int]:
    """The processes that are named. Raises Declined where one of the words is no number."""
    (text,) = await _texts(request, "pids")
    return _pids(text)


def _pids(text: str) -> list[int]:
    try:
        return [int(it) for it in text.split()]
    except ValueError:
        raise Declined("numbers of processes are expected", ExitCode.BAD_INPUT) from None


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (seconds := float(text)) <= _LONGEST_WAIT:
            return seconds
    raise Declined(f"a number of seconds is expected, of at most {_LONGEST_WAIT:.0f}", ExitCode.BAD_INPUT)


def _expected(names: Iterable[str]) -> Declined:
    return Declined(f"a JSON object with {' and '.join(names)} is expected", ExitCode.BAD_INPUT)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


async def answer(
    daemon: Mapping[str, object],
    targets: Iterable[Shown],
    view: Callable[[Shown], Mapping[str, object]],
) -> AsyncIterator[str]:
    """The answer to `/status` as JSON: the fields of the daemon, and `targets` with what `view` makes of each.

    It comes in parts, between which the daemon goes on with its work. A target that cannot be shown is there with a
    note that says so, and does not keep the others from being shown. Strings are escaped as `encodable` says.
    """
    part = f'{json.dumps(encodable(dict(daemon)))[:-1]}, "targets": ['
    separator = ""
    for it in list(targets):
        part += separator + _shown(it, view)
        separator = ",\n"
        if len(part) > _PART:
            yield part
            part = ""
            await asyncio.sleep(0)
    yield part + "]}"


def _shown(served: Shown, view: Callable[[Shown], Mapping[str, object]]) -> str:
    try:
        return json.dumps(encodable(view(served)), allow_nan=False)
    except Exception as error:
        log.error("internal-error", reason=f"status: {type(error).__name__}: {error}", exc_info=True)
        it = {
            "pid": served.pid,
            "command": str(served.command),
            "note": f"what is known of it cannot be shown ({type(error).__name__}); the daemon's log has more",
            "libraries": [],
        }
        return json.dumps(encodable(it))


class _QuietServer(uvicorn.Server):
    """Signals are the daemon's own to handle, and it costs nothing while nobody asks."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def main_loop(self) -> None:
        """Nothing is to be done ten times a second."""
        await asyncio.Event().wait()
