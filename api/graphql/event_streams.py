"""Subscriptions by server-sent events: the distinct connections of the GraphQL over SSE protocol.

A subscription is a POST like any other, whose answer is a stream: an event `next` for each answer,
then `complete`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import orjson
from starlette.responses import StreamingResponse

from api.graphql.engine import Asked, Engine
from api.graphql.following import errors_of, follow
from api.graphql.requests import EVENT_STREAM
from api.request_ids import HEADER

SILENCE_SECONDS: Final = 12.0
"""What stands between us and the caller may end a connection on which nothing is said."""


class EventStream(StreamingResponse):
    """Ends with the subscription, or when the caller goes away."""

    def __init__(self, engine: Engine, secret: str | None, asked: Asked) -> None:
        super().__init__(
            _events(engine, secret, asked),
            media_type=f"{EVENT_STREAM}; charset=utf-8",
            headers={HEADER: asked.request_id, "X-Accel-Buffering": "no"},
        )


async def _events(engine: Engine, secret: str | None, asked: Asked) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(follow(engine, secret, asked)) as answers:
            async for answer in _with_silence(answers):
                yield b":\n\n" if answer is None else _event("next", answer)
    except Exception as error:  # noqa: BLE001 - nothing may get out but what is meant to
        yield _event("next", {"errors": errors_of(error, asked.request_id)})
    yield b"event: complete\ndata: {}\n\n"


def _event(name: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))


async def _with_silence(answers: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    """With None wherever there was none for a while."""
    waiting: asyncio.Future[Any] = asyncio.ensure_future(anext(answers))
    try:
        while True:
            done, _ = await asyncio.wait({waiting}, timeout=SILENCE_SECONDS)
            if not done:
                yield None
                continue
            try:
                answer = waiting.result()
            except StopAsyncIteration:
                return
            yield answer
            waiting = asyncio.ensure_future(anext(answers))
    finally:
        if waiting.cancel():
            await asyncio.wait({waiting})
