"""Values that can be taken out once, kept in Valkey until then or until their time is over."""

import hashlib
import json
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

_PREFIX = "homerow:one-time:"


class OneTimeUnavailable(Exception):
    """Valkey does not answer: nothing can be kept or taken."""


class OneTime:
    """Tokens are secrets: only their hashes reach Valkey. Both methods raise OneTimeUnavailable.

    A kind is a name for what the values are for; a token of one kind opens no other.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def put(self, kind: str, token: str, value: dict[str, Any], seconds: int) -> None:
        """The value is JSON's. What was kept under the token before is replaced."""
        try:
            await self._redis.set(_hashed(kind, token), json.dumps(value), ex=seconds)
        except (RedisError, OSError) as error:
            raise OneTimeUnavailable from error

    async def take(self, kind: str, token: str) -> dict[str, Any] | None:
        """What was put; None if that was never, too long ago, or if it was taken already."""
        try:
            kept = await self._redis.getdel(_hashed(kind, token))
        except (RedisError, OSError) as error:
            raise OneTimeUnavailable from error
        return None if kept is None else json.loads(kept)


def _hashed(kind: str, token: str) -> str:
    return f"{_PREFIX}{kind}:{hashlib.sha256(token.encode(errors='replace')).hexdigest()}"
