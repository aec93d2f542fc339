"""How much of something somebody has at once, counted in Valkey for all processes together."""

import hashlib
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from domain.clock import new_id

KEPT_SECONDS: Final = 15
"""What was not told of for so long was a process's that died."""
_PREFIX: Final = "homerow:tally:"

# The moments after which each counts no more.
_KEEP = """
local limit, kept = tonumber(ARGV[2]), tonumber(ARGV[3])
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local is_known = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not is_known and limit > 0 and redis.call('ZCARD', KEYS[1]) >= limit then
    return 0
end
redis.call('ZADD', KEYS[1], now + kept, ARGV[1])
redis.call('EXPIRE', KEYS[1], kept)
return 1
"""


class TooMany(Exception):
    """Somebody has as many as they may already."""


@dataclass(frozen=True, slots=True)
class Place:
    """One of those that are counted. It has to be kept more often than each KEPT_SECONDS."""

    tally: "Tally"
    key: str
    name: str

    async def keep(self) -> None:
        """Counts it on, also in a Valkey that has forgotten it."""
        with suppress(RedisError, OSError):
            await self.tally.put(self, 0)


class Tally:
    """Where Valkey is away, each process counts for itself alone."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._keep = redis.register_script(_KEEP)
        self._here: Counter[str] = Counter()

    @asynccontextmanager
    async def place(self, key: str, limit: int) -> AsyncGenerator[Place]:
        """One of `limit` for as long as entered. Raises TooMany. Of the key Valkey sees a hash."""
        hashed = _PREFIX + hashlib.sha256(key.encode()).hexdigest()
        if self._here[hashed] >= limit:
            raise TooMany
        self._here[hashed] += 1
        place = Place(self, hashed, str(new_id()))
        try:
            with suppress(RedisError, OSError):
                if not await self.put(place, limit):
                    raise TooMany
            yield place
        finally:
            self._leave(hashed)
            with suppress(RedisError, OSError):
                await self._redis.zrem(hashed, place.name)

    async def put(self, place: Place, limit: int) -> bool:
        """Whether there was room; a limit of 0 is none. Raises RedisError and OSError."""
        return bool(await self._keep(keys=[place.key], args=[place.name, limit, KEPT_SECONDS]))

    def _leave(self, key: str) -> None:
        self._here[key] -= 1
        if not self._here[key]:
            del self._here[key]
