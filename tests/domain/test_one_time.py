"""Values that are taken out once, on a real Valkey."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from api.local import LocalServers
from domain.clock import new_id
from domain.one_time import OneTime, OneTimeUnavailable
from domain.throttle import open_redis

pytestmark = pytest.mark.anyio


@pytest.fixture(name="redis")
async def fixture_redis(local_servers: LocalServers) -> AsyncGenerator[Redis]:
    async with open_redis(local_servers.redis_url) as opened:
        yield opened


@pytest.fixture(name="one_time")
def fixture_one_time(redis: Redis) -> OneTime:
    return OneTime(redis)


@pytest.fixture(name="token")
def fixture_token() -> str:
    return f"token-{new_id()}"


async def test_a_value_is_taken_once(one_time: OneTime, token: str) -> None:
    await one_time.put("state", token, {"tenant": "a", "seen": None}, 60)
    assert await one_time.take("state", token) == {"tenant": "a", "seen": None}
    assert await one_time.take("state", token) is None


async def test_of_many_who_come_at_once_one_gets_it(one_time: OneTime, token: str) -> None:
    await one_time.put("state", token, {"n": 1}, 60)
    taken = await asyncio.gather(*(one_time.take("state", token) for _ in range(10)))
    assert [value for value in taken if value is not None] == [{"n": 1}]


async def test_a_token_opens_no_other_kind(one_time: OneTime, token: str) -> None:
    await one_time.put("state", token, {"n": 1}, 60)
    assert await one_time.take("code", token) is None
    assert await one_time.take("state", token) == {"n": 1}


async def test_nothing_was_put_under_an_unknown_token(one_time: OneTime, token: str) -> None:
    assert await one_time.take("state", token) is None
    assert await one_time.take("state", "\ud800") is None


async def test_a_value_has_its_time(one_time: OneTime, token: str) -> None:
    await one_time.put("state", token, {"n": 1}, 1)
    await asyncio.sleep(1.1)
    assert await one_time.take("state", token) is None


async def test_valkey_does_not_see_the_token(redis: Redis, one_time: OneTime, token: str) -> None:
    before = set(await redis.keys("*"))
    await one_time.put("state", token, {}, 60)
    (added,) = set(await redis.keys("*")) - before
    assert added.startswith(b"homerow:one-time:state:")
    assert token.encode() not in added
    assert 0 < await redis.ttl(added) <= 60
    assert await one_time.take("state", token) == {}


async def test_it_is_said_that_valkey_is_away(tmp_path: Path) -> None:
    async with open_redis(f"unix://{tmp_path}/nothing.sock") as redis:
        with pytest.raises(OneTimeUnavailable):
            await OneTime(redis).put("state", "t", {}, 1)
        with pytest.raises(OneTimeUnavailable):
            await OneTime(redis).take("state", "t")
