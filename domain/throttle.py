"""How often somebody may do something, counted in Valkey for all processes together."""

import hashlib
import math
from collections.abc import Awaitable
from typing import Any, NamedTuple, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

SOCKET_SECONDS = 0.5
_PREFIX = "homerow:throttle:"

# A bucket that fills up again at its rate. A refusal takes nothing.
_TAKE = """
local cost, capacity, rate = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local kept = redis.call('HMGET', KEYS[1], 'available', 'at')
local passed = math.max(0, now - (tonumber(kept[2]) or now))
local available = math.min(capacity, (tonumber(kept[1]) or capacity) + passed * rate)
local wait = math.max(0, math.ceil((cost - available) / rate))
if cost <= available then
    available, wait = available - cost, 0
end
redis.call('HSET', KEYS[1],
    'available', string.format('%.6f', available), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], math.ceil(capacity / rate) + 1)
return {wait, math.floor(available)}
"""
# The moments of the last events, in microseconds: the oldest first.
_COUNT = """
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local oldest = redis.call('LINDEX', KEYS[1], 0)
while oldest and tonumber(oldest) <= now - window * 1000000 do
    redis.call('LPOP', KEYS[1])
    oldest = redis.call('LINDEX', KEYS[1], 0)
end
if redis.call('LLEN', KEYS[1]) >= limit then
    return 0
end
redis.call('RPUSH', KEYS[1], string.format('%.0f', now))
redis.call('EXPIRE', KEYS[1], window)
return 1
"""


class ThrottleUnavailable(Exception):
    """Valkey does not answer. The caller decides whether to go on without counting."""


class Allowance(NamedTuple):
    """`available` is what is left; `retry_after_seconds` is 0 where it was allowed."""

    is_allowed: bool
    available: int
    retry_after_seconds: int


def open_redis(url: str) -> Redis:
    """A client for redis://, rediss:// or unix:// that gives up soon. It connects when asked.

    It tries once more at once, for the connections that a restarted server has left.
    """
    redis: Redis = Redis.from_url(
        url,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=SOCKET_SECONDS,
        retry=Retry(NoBackoff(), 1),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
    )
    return redis


class Throttle:
    """Keys are texts of any kind: only their hashes reach Valkey.

    All methods raise ThrottleUnavailable.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take = redis.register_script(_TAKE)
        self._count = redis.register_script(_COUNT)

    async def take(self, key: str, *, cost: int, capacity: int, per_second: float) -> Allowance:
        """From the key's bucket, unless there is too little in it.

        Who asks for more than the capacity is always refused; a cost of 0 only looks.
        """
        try:
            wait, available = await self._take(
                keys=[_hashed(key)], args=[cost, capacity, per_second]
            )
        except (RedisError, OSError) as error:
            raise ThrottleUnavailable from error
        return Allowance(wait == 0, available, wait)

    async def count(self, key: str, limit: int, seconds: float) -> bool:
        """Count an event and say yes, or say no: there were `limit` in the last `seconds`.

        What is refused is not counted, so that nobody locks somebody else out for good.
        """
        try:
            is_counted = await self._count(keys=[_hashed(key)], args=[limit, math.ceil(seconds)])
        except (RedisError, OSError) as error:
            raise ThrottleUnavailable from error
        return bool(is_counted)

    async def give_back(self, key: str, events: int) -> None:
        """Count the latest so many events no more: they were none of those to be limited."""
        try:
            await cast(Awaitable[Any], self._redis.rpop(_hashed(key), events))
        except (RedisError, OSError) as error:
            raise ThrottleUnavailable from error

    async def forget(self, key: str) -> None:
        """What was counted and taken under the key: the attempt succeeded."""
        try:
            await self._redis.delete(_hashed(key))
        except (RedisError, OSError) as error:
            raise ThrottleUnavailable from error


def _hashed(key: str) -> str:
    return _PREFIX + hashlib.sha256(key.encode(errors="replace")).hexdigest()
