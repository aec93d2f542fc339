"""Lets frontends on the other sites that a setting names ask us, by token and never by cookie."""

from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATHS = ("/graphql", "/session/token")
FOLDERS = ("/exports/", "/uploads/")
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}
_EXPOSED = "Content-Disposition, Retry-After, X-Request-Id"


class Cors:
    """An origin that is not named is answered as if nobody had heard of CORS.

    Credentials are never allowed: a browser then shows no answer that a cookie has opened.
    """

    def __init__(self, app: ASGIApp, *, origins: frozenset[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_shared(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        allowed = origin if origin in self._origins else None

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_to(message, allowed)
            await send(message)

        is_preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        if allowed and is_preflight:
            await Response(status_code=204, headers=_PREFLIGHT)(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)


def _is_shared(path: str) -> bool:
    return path in PATHS or path.startswith(FOLDERS)


def _add_to(message: MutableMapping[str, Any], origin: str | None) -> None:
    headers = MutableHeaders(scope=message)
    # A cache must not give the answer of one origin to another.
    headers.add_vary_header("Origin")
    if origin:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = _EXPOSED
