"""The ASGI layer around a fake: notes every request, and spoils answers as told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from typing import Any, Final

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.fakes.misbehaviour import Faults, Kind, Logged, Misbehaviour, Plan
from tests.fakes.serving import reset_connection

_PIECES = 40
_HUGE_PIECE: Final = b" " * 65_536
_HTML = "<!DOCTYPE html>\n<html><head><title>Error</title></head><body><h1>{}</h1></body></html>\n"

Incidents = Mapping[Kind, Callable[[], None]]
"""What the fake itself does when something is told to happen before a request."""


class Misbehaving:
    """`collection_of` names what a path asks for; None is a path that is no part of the API."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        plan: Plan,
        collection_of: Callable[[str], str | None],
        incidents: Incidents,
    ) -> None:
        self._app = app
        self._plan = plan
        self._collection_of = collection_of
        self._incidents = incidents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        faults = self._plan.take(_logged(scope, self._collection_of))
        scope["faults"] = faults
        for misbehaviour in faults:
            if happen := self._incidents.get(misbehaviour.kind):
                happen()
        await self._respond(faults, scope, receive, send)

    async def _respond(self, faults: Faults, scope: Scope, receive: Receive, send: Send) -> None:
        for misbehaviour in faults:
            if misbehaviour.kind is Kind.HUGE:
                await _send_hugely(int(misbehaviour.number), send)
                return
            if instead := _instead(misbehaviour):
                await instead(scope, receive, send)
                return
        if bringing := next((item for item in faults if item.kind in _BRINGING), None):
            answer = await _answer(self._app, scope, receive)
            await _BRINGING[bringing.kind](bringing, answer, scope, send)
        else:
            await self._app(scope, receive, send)


def _logged(scope: Scope, collection_of: Callable[[str], str | None]) -> Logged:
    path = raw_path(scope)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = scope["query_string"].decode("latin-1")
    return Logged(scope["method"], path, query, collection_of(path), headers)


def raw_path(scope: Mapping[str, Any]) -> str:
    """The path's bytes as they were sent, escapes and all."""
    raw = scope.get("raw_path") or scope["path"].encode()
    assert isinstance(raw, bytes)
    return raw.decode("latin-1").partition("?")[0]


def _instead(misbehaviour: Misbehaviour) -> Response | None:
    status = int(misbehaviour.number)
    match misbehaviour.kind:
        case Kind.STATUS:
            headers = {"Retry-After": misbehaviour.words} if misbehaviour.words else None
            return JSONResponse({"message": f"told to answer {status}"}, status, headers)
        case Kind.HTML:
            return HTMLResponse(_HTML.format("Something went wrong"), status)
        case Kind.REDIRECT:
            return RedirectResponse(misbehaviour.words, status)
        case Kind.WRONG_SHAPE:
            return JSONResponse({"result": "ok"})
        case _:
            return None


class _Answer:
    """An answer, held back until its body is whole."""

    def __init__(self) -> None:
        self.start: MutableMapping[str, Any] = {}
        self.body = b""

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
        else:
            self.body += message.get("body", b"")

    def started(self, *, length: int | None = None) -> Message:
        headers = self.start["headers"]
        if length is not None:
            kept = [pair for pair in headers if pair[0] != b"content-length"]
            headers = [*kept, (b"content-length", str(length).encode())]
        return {**self.start, "headers": headers}


async def _answer(app: ASGIApp, scope: Scope, receive: Receive) -> _Answer:
    answer = _Answer()
    await app(scope, receive, answer.take)
    return answer


async def _send_slowly(
    misbehaviour: Misbehaviour, answer: _Answer, _scope: Scope, send: Send
) -> None:
    await send(answer.started())
    async for piece in _pieces(answer.body, misbehaviour.number):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _pieces(body: bytes, wait: float) -> AsyncIterator[bytes]:
    size = max(1, -(-len(body) // _PIECES))
    for start in range(0, len(body), size):
        await asyncio.sleep(wait)
        yield body[start : start + size]


async def _send_half_and_reset(
    _misbehaviour: Misbehaviour, answer: _Answer, scope: Scope, send: Send
) -> None:
    await send(answer.started())
    half = answer.body[: len(answer.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    # The half should be under way before the connection breaks.
    await asyncio.sleep(0.01)
    reset_connection(scope)


async def _send_half(
    _misbehaviour: Misbehaviour, answer: _Answer, _scope: Scope, send: Send
) -> None:
    half = answer.body[: len(answer.body) // 2]
    await send(answer.started(length=len(half)))
    await send({"type": "http.response.body", "body": half})


async def _send_hugely(size: int, send: Send) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(0, size, len(_HUGE_PIECE)):
        await send({"type": "http.response.body", "body": _HUGE_PIECE, "more_body": True})
        # A client that has hung up is noticed only while others have their turn.
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"{}"})


_BRINGING: Final = {
    Kind.SLOW: _send_slowly,
    Kind.RESET: _send_half_and_reset,
    Kind.TRUNCATED: _send_half,
}
