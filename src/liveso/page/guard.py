"""Who is answered: requests that a browser sends because a person looks at this page, and not another site's.

- `Host` must name the loopback interface: a site whose name is made to lead here (DNS rebinding) has its own there.
- `Origin`, where there is one, must be this page: another site's script may send, but not under this name.
- What changes something needs the token, in a header, which no form can set.
"""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from liveso.page.token import HEADER, is_token

_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def refusal(method: str, headers: Headers, token: str) -> tuple[int, str] | None:
    """Why a request is not answered: the HTTP status and a sentence; None where it is."""
    host = headers.get("host", "")
    if not _HOST.fullmatch(host):
        return 421, "this page answers to localhost and 127.0.0.1 only"
    origin = headers.get("origin")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        return 403, "another site has sent this"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return 403, "another site has sent this"
    if method in ("GET", "HEAD"):
        return None
    if HEADER not in headers:
        return 401, "this needs the token"
    if not is_token(headers[HEADER], token):
        return 401, "this is not the token"
    return None


class Guard:
    """Lets to `app` what is not refused, and puts on each answer what keeps browsers from doing more with it."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        refused = refusal(scope["method"], Headers(scope=scope), self._token)
        if refused is None:
            await self._app(scope, receive, send_guarded)
        else:
            status, text = refused
            await JSONResponse({"error": text}, status)(scope, receive, send_guarded)
