"""An id for every request: in its log lines, and in the answer, for whoever asks about it."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from domain.clock import new_id

HEADER = "X-Request-Id"
_KEY = "homerow.request_id"


def request_id_of(scope: Scope) -> str:
    """That of the request, which has one wherever RequestIds is around."""
    request_id: str = scope.setdefault(_KEY, str(new_id()))
    return request_id


class RequestIds:
    """What a caller sends as an id is not ours, and so is not taken."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_with_id)
