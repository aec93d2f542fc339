"""Answers only what is sent to our own name, so that nobody else's gets into what we say."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.web_settings import DEFAULT_PORTS, host_of

ANY_HOST = frozenset({"/healthz", "/readyz"})
"""They are asked by what watches over the processes, which knows their addresses only."""


class OwnHost:
    """Whatever is sent to another host is answered with 421, and a handshake with 403."""

    def __init__(self, app: ASGIApp, *, public_url: str) -> None:
        parts = urlsplit(public_url)
        self._app = app
        self._hosts = {host_of(parts), f"{host_of(parts)}:{DEFAULT_PORTS.get(parts.scheme)}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_asked = scope["type"] in {"http", "websocket"} and scope["path"] not in ANY_HOST
        if not is_asked or self._is_ours(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            # Before a handshake is accepted, a server answers this with 403.
            await send({"type": "websocket.close"})
        else:
            refusal = PlainTextResponse("This host is not served here.", 421)
            await refusal(scope, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        hosts = Headers(scope=scope).getlist("host")
        return len(hosts) == 1 and hosts[0].lower() in self._hosts
