"""The job queue on Redis: the only module beside worker/ that knows arq."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from arq.connections import ArqRedis, RedisSettings, create_pool
from redis.exceptions import RedisError
from typing_extensions import override

from domain.jobs import Job, JobQueue
from domain.news import channel_of

_CLOSING_SECONDS = 1
_PUTTING_SECONDS = 5

log = structlog.get_logger()


def redis_settings(url: str) -> RedisSettings:
    """Settings for redis://, rediss:// or unix:// with the path of a socket."""
    if urlsplit(url).scheme == "unix":
        return RedisSettings(unix_socket_path=urlsplit(url).path, conn_retries=3)
    settings = RedisSettings.from_dsn(url)
    settings.conn_retries = 3
    return settings


def encode_job(job: dict[str, Any]) -> bytes:
    """JSON instead of arq's pickle: what lies in Redis must not be able to run."""
    return json.dumps(job).encode()


@dataclass(frozen=True, slots=True)
class ArqQueue(JobQueue):
    redis: ArqRedis
    _telling: "set[asyncio.Task[None]]" = field(default_factory=set)

    @classmethod
    async def connect(cls, url: str) -> Self:
        return cls(
            await create_pool(
                redis_settings(url), job_serializer=encode_job, job_deserializer=json.loads
            )
        )

    @override
    async def put(self, job: Job) -> None:
        try:
            # One that hangs is as good as away.
            async with asyncio.timeout(_PUTTING_SECONDS):
                await self.redis.enqueue_job(job.name)
        except (RedisError, OSError) as error:
            log.warning("queue_unreachable", job=job.name, error=type(error).__name__)

    @override
    def announce(self, run_id: UUID) -> None:
        task = asyncio.create_task(self._publish(run_id))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _publish(self, run_id: UUID) -> None:
        """Nobody is told that it failed: who follows a run looks at its row by and by anyway."""
        with suppress(RedisError, OSError):
            await self.redis.publish(channel_of(run_id), "")

    async def is_reachable(self) -> bool:
        try:
            return bool(await self.redis.ping())
        except (RedisError, OSError):
            return False

    async def close(self) -> None:
        if self._telling:
            await asyncio.wait(self._telling, timeout=_CLOSING_SECONDS)
        await self.redis.aclose()
