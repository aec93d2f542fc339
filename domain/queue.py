"""The job queue on Redis: the only module beside worker/ that knows arq."""

import json
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import structlog
from arq.connections import ArqRedis, RedisSettings, create_pool
from redis.exceptions import RedisError
from typing_extensions import override

from domain.jobs import Job, JobQueue

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
            await self.redis.enqueue_job(job.name)
        except (RedisError, OSError) as error:
            log.warning("queue_unreachable", job=job.name, error=type(error).__name__)

    async def is_reachable(self) -> bool:
        try:
            return bool(await self.redis.ping())
        except (RedisError, OSError):
            return False

    async def close(self) -> None:
        await self.redis.aclose()
