"""News of runs, by Valkey's channels from whoever works on a run to whoever follows it.

News say only that there is something to see: what, is in the run's row. So nothing is lost with
Valkey; who follows a run looks at the row now and then without being told to.
"""

import asyncio
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

_PREFIX: Final = "homerow:run:"
_REST_SECONDS: Final = 1.0
_READ_SECONDS: Final = 0.2
"""A run that somebody begins to follow is asked for after so long at most."""

log = structlog.get_logger()


def channel_of(run_id: UUID) -> str:
    return f"{_PREFIX}{run_id}"


class News:
    """One for a process: one connection to Valkey brings the news for all that follow runs here."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._followers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def of(self, run_id: UUID) -> Generator[asyncio.Event]:
        """An event that is set whenever there is news of the run, until it is cleared."""
        channel, event = channel_of(run_id), asyncio.Event()
        self._followers[channel].add(event)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen())
        try:
            yield event
        finally:
            self._followers[channel].discard(event)
            if not self._followers[channel]:
                del self._followers[channel]

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        """For as long as anybody follows a run."""
        has_told = False
        while self._followers:
            try:
                async with self._redis.pubsub() as pubsub:
                    await self._pass_on(pubsub)
            except (RedisError, OSError) as error:
                if not has_told:
                    log.warning("news_unreachable", error=type(error).__name__)
                has_told = True
                await asyncio.sleep(_REST_SECONDS)

    async def _pass_on(self, pubsub: PubSub) -> None:
        """Which channels are wanted is looked at between two messages, and so soon enough."""
        subscribed: set[str] = set()
        while self._followers:
            wanted = set(self._followers)
            if new := wanted - subscribed:
                await pubsub.subscribe(*new)
            if old := subscribed - wanted:
                await pubsub.unsubscribe(*old)
            subscribed = wanted
            message: dict[str, Any] | None = await pubsub.get_message(
                ignore_subscribe_messages=True, timeout=_READ_SECONDS
            )
            if message is not None:
                for event in self._followers.get(message["channel"].decode(), ()):
                    event.set()
