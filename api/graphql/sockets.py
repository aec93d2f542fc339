"""Subscriptions by WebSocket: the protocol graphql-transport-ws, and subscriptions alone.

Queries and mutations are asked by POST, whose limits nobody gets around here.
"""

from typing import Final

from starlette.websockets import WebSocket

from api.browsers import SESSION_COOKIE, own_origin, read_cookie
from api.graphql.engine import Engine
from api.graphql.requests import bearer_of
from api.graphql.socket_talk import SUBPROTOCOL_NOT_ACCEPTABLE, Talk
from domain.people import sessions

PROTOCOL: Final = "graphql-transport-ws"


class Sockets:
    """One for a process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def serve(self, websocket: WebSocket) -> None:
        """A handshake of another site is refused; so is whoever speaks another protocol."""
        web = self._engine.web
        origins = websocket.headers.getlist("origin")
        site = websocket.headers.get("sec-fetch-site", "same-origin")
        is_own = origins == [own_origin(websocket, web.public_origin)] and site == "same-origin"
        is_known = len(origins) == 1 and origins[0] in web.cors_origins
        if origins and not is_own and not is_known:
            await websocket.close()
        elif PROTOCOL not in websocket.scope["subprotocols"]:
            await websocket.accept()
            await websocket.close(SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable")
        else:
            await websocket.accept(subprotocol=PROTOCOL)
            await Talk(self._engine, websocket, _secret(websocket, is_own=is_own)).hold()


def _secret(websocket: WebSocket, *, is_own: bool) -> str | None:
    """What the handshake brings. A cookie counts with a page of ours alone, which says its Origin.

    Beside a token it counts nothing, and an API token in it neither.
    """
    if "authorization" in websocket.headers:
        return bearer_of(websocket.headers)
    secret = read_cookie(websocket, SESSION_COOKIE) if is_own else None
    return secret if secret and secret.startswith(sessions.PREFIX) else None
