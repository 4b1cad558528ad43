"""What the daemon tells the `liveso` command: HTTP on a Unix socket."""

from contextlib import AbstractContextManager, nullcontext

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from liveso.daemon.service import Service


def make_server(service: Service) -> uvicorn.Server:
    async def status(_request: Request) -> JSONResponse:
        return JSONResponse(service.status())

    app = Starlette(routes=[Route("/status", status)])
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=1
    )
    return _QuietServer(config)


class _QuietServer(uvicorn.Server):
    """Signals are the daemon's own to handle."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()
