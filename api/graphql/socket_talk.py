"""What is said on one WebSocket, from `connection_init` to its end."""

import asyncio
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Final

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect
from structlog.contextvars import bind_contextvars

from api.graphql.engine import Asked, Engine
from api.graphql.errors import ErrorCode, Refused, log_failure
from api.graphql.following import MAX_SUBSCRIPTIONS, errors_of, follow, place_of
from api.graphql.listening import LOOK_SECONDS, Listener
from api.graphql.requests import bearer_of, know, operation_of
from domain.clock import new_id

MAX_MESSAGE: Final = 64 * 1024
MAX_SOCKETS: Final = 5
"""Of a caller at once."""
MAX_ID: Final = 128
INIT_SECONDS: Final = 5.0
SEND_SECONDS: Final = 10.0

# The protocol's own codes.
BAD_MESSAGE: Final = 4400
UNAUTHORISED: Final = 4401
FORBIDDEN: Final = 4403
SUBPROTOCOL_NOT_ACCEPTABLE: Final = 4406
INIT_TIMEOUT: Final = 4408
ALREADY_THERE: Final = 4409
INIT_AGAIN: Final = 4429
# WebSocket's.
TOO_LARGE: Final = 1009
FAILED: Final = 1011
LATER: Final = 1013


class Closed(Exception):
    """The talk is over, and that is why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Talk:
    """`secret` is what the handshake brought: a token in `connection_init` goes before it."""

    def __init__(self, engine: Engine, websocket: WebSocket, secret: str | None) -> None:
        self._engine = engine
        self._websocket = websocket
        self._secret = secret
        self._public_url = str(
            websocket.base_url.replace(
                scheme="https" if websocket.url.scheme == "wss" else "http", path="/"
            )
        )
        self._subscriptions: dict[str, asyncio.Task[None]] = {}

    async def hold(self) -> None:
        """Until either side ends it."""
        try:
            await self._begin()
            await self._go_on()
        except Closed as closed:
            await self._close(closed)
        except WebSocketDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 - nothing may get out but what is meant to
            log_failure(error, request_id=str(new_id()))
            await self._close(Closed(FAILED, "Something went wrong here"))

    async def _close(self, closed: Closed) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._websocket.close(closed.code, closed.reason)

    async def _begin(self) -> None:
        """Wait for `connection_init`. Raises Closed."""
        try:
            async with asyncio.timeout(INIT_SECONDS):
                while (message := await self._receive()).get("type") != "connection_init":
                    if message.get("type") == "subscribe":
                        raise Closed(UNAUTHORISED, "Unauthorized")
                    await self._hear(message)
        except TimeoutError:
            raise Closed(INIT_TIMEOUT, "Connection initialisation timeout") from None
        payload = message.get("payload")
        if not isinstance(payload, dict | None):
            raise Closed(BAD_MESSAGE, "The payload is an object, where it is given")
        given = {name.lower(): value for name, value in (payload or {}).items()}
        if isinstance(token := given.get("authorization"), str):
            self._secret = bearer_of({"authorization": token})

    async def _go_on(self) -> None:
        """Hear what is said, and look now and then who listens. Raises Closed."""
        database = self._engine.resources.database
        try:
            caller = await know(self._secret, database)
            async with place_of(self._engine, caller, "sockets", MAX_SOCKETS) as place:
                again = partial(know, self._secret, database, is_again=True)
                await self._send({"type": "connection_ack"})
                await self._until_one_ends(self._listen(), _look(Listener(caller, again, place)))
        except Refused as refused:
            if refused.code is ErrorCode.THROTTLED:
                raise Closed(LATER, str(refused)) from None
            raise Closed(FORBIDDEN, "Forbidden") from None

    async def _until_one_ends(self, *doing: Any) -> None:
        tasks = [asyncio.ensure_future(each) for each in doing]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            left = [*tasks, *self._subscriptions.values()]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            message = await self._receive()
            match message:
                case {"type": "connection_init"}:
                    raise Closed(INIT_AGAIN, "Too many initialisation requests")
                case {"type": "subscribe", "id": str() as name, "payload": dict() as payload}:
                    await self._subscribe(name, payload)
                case {"type": "complete", "id": str() as name}:
                    if task := self._subscriptions.pop(name, None):
                        task.cancel()
                case _:
                    await self._hear(message)

    async def _hear(self, message: dict[str, Any]) -> None:
        """What may be said at any time. Raises Closed for what may not."""
        match message.get("type"):
            case "ping":
                await self._send({"type": "pong"})
            case "pong":
                pass
            case _:
                raise Closed(BAD_MESSAGE, "The message is not one of the protocol's")

    async def _subscribe(self, name: str, payload: dict[str, Any]) -> None:
        if not 0 < len(name) <= MAX_ID:
            raise Closed(BAD_MESSAGE, f"An id has at most {MAX_ID} characters")
        if name in self._subscriptions:
            raise Closed(ALREADY_THERE, "There is a subscriber with this id already")
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            words = f"There are {MAX_SUBSCRIPTIONS} subscriptions open already: end one of them."
            await self._refuse(name, Refused(429, ErrorCode.THROTTLED, words), str(new_id()))
            return
        task = asyncio.create_task(self._follow(name, payload))
        self._subscriptions[name] = task

    async def _follow(self, name: str, payload: dict[str, Any]) -> None:
        """One subscription, to its end. What the caller has ended is not spoken of any more."""
        request_id = str(new_id())
        bind_contextvars(request_id=request_id)
        try:
            asked = self._engine.prepare(
                operation_of(payload), public_url=self._public_url, request_id=request_id
            )
            _demand_subscription(asked)
            async with aclosing(follow(self._engine, self._secret, asked)) as answers:
                async for answer in answers:
                    await self._send({"type": "next", "id": name, "payload": answer})
            self._forget(name)
            await self._send({"type": "complete", "id": name})
        except WebSocketDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 - nothing may get out but what is meant to
            self._forget(name)
            await self._refuse(name, error, request_id)

    def _forget(self, name: str) -> None:
        """The id may be used again, and another subscription may have it by now."""
        if self._subscriptions.get(name) is asyncio.current_task():
            del self._subscriptions[name]

    async def _refuse(self, name: str, error: Exception, request_id: str) -> None:
        errors = errors_of(error, request_id)
        with suppress(WebSocketDisconnect):
            await self._send({"type": "error", "id": name, "payload": errors})

    async def _receive(self) -> dict[str, Any]:
        """Raises Closed for what is no message, and WebSocketDisconnect."""
        received = await self._websocket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1000))
        text = received.get("text")
        if text is None:
            raise Closed(BAD_MESSAGE, "Messages are texts")
        if len(text) > MAX_MESSAGE or len(text.encode()) > MAX_MESSAGE:
            raise Closed(TOO_LARGE, f"A message has at most {MAX_MESSAGE} bytes")
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            raise Closed(BAD_MESSAGE, "A message is an object in JSON")
        return message

    async def _send(self, message: dict[str, Any]) -> None:
        """As text. Whoever does not read for long is taken for gone."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._websocket.send_text(orjson.dumps(message).decode())
        except (TimeoutError, RuntimeError):
            raise WebSocketDisconnect from None


def _demand_subscription(asked: Asked) -> None:
    if not asked.document.is_subscription(asked.operation.name):
        words = "Only subscriptions are followed here: ask all else by POST."
        raise Refused(400, ErrorCode.BAD_REQUEST, words)


async def _look(listener: Listener) -> None:
    """Raises Refused for whoever may not listen any more."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await listener.look()
