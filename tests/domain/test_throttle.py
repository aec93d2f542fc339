"""Buckets and windows on a real Valkey, and what is said when it is away."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from api.local import LocalServers
from domain.clock import new_id
from domain.throttle import Allowance, Throttle, ThrottleUnavailable, open_redis

pytestmark = pytest.mark.anyio


@pytest.fixture(name="redis")
async def fixture_redis(local_servers: LocalServers) -> AsyncGenerator[Redis]:
    async with open_redis(local_servers.redis_url) as opened:
        yield opened


@pytest.fixture(name="throttle")
def fixture_throttle(redis: Redis) -> Throttle:
    return Throttle(redis)


@pytest.fixture(name="key")
def fixture_key() -> str:
    return f"somebody {new_id()}"


async def test_a_bucket_gives_until_it_is_empty(throttle: Throttle, key: str) -> None:
    bucket = {"capacity": 100, "per_second": 0.01}
    assert await throttle.take(key, cost=60, **bucket) == Allowance(True, 40, 0)
    assert await throttle.take(key, cost=40, **bucket) == Allowance(True, 0, 0)
    assert await throttle.take(key, cost=1, **bucket) == Allowance(False, 0, 100)


async def test_a_refusal_takes_nothing_and_says_when_to_return(
    throttle: Throttle, key: str
) -> None:
    bucket = {"capacity": 100, "per_second": 0.5}
    await throttle.take(key, cost=90, **bucket)
    refused = await throttle.take(key, cost=30, **bucket)
    assert refused == Allowance(False, 10, 40)
    assert await throttle.take(key, cost=10, **bucket) == Allowance(True, 0, 0)


async def test_a_bucket_fills_up_again_but_not_over(throttle: Throttle, key: str) -> None:
    bucket = {"capacity": 100, "per_second": 1000}
    assert (await throttle.take(key, cost=100, **bucket)).is_allowed
    await asyncio.sleep(0.2)
    assert await throttle.take(key, cost=0, **bucket) == Allowance(True, 100, 0)


async def test_more_than_the_capacity_is_always_refused(throttle: Throttle, key: str) -> None:
    allowance = await throttle.take(key, cost=101, capacity=100, per_second=1)
    assert allowance == Allowance(False, 100, 1)


async def test_everybody_has_a_bucket(throttle: Throttle, key: str) -> None:
    for name in ("a", "b"):
        assert (await throttle.take(key + name, cost=1, capacity=1, per_second=0.01)).is_allowed


async def test_those_who_come_at_once_get_no_more_than_there_is(
    throttle: Throttle, key: str
) -> None:
    allowances = await asyncio.gather(
        *(throttle.take(key, cost=1, capacity=5, per_second=0.001) for _ in range(20))
    )
    assert sum(allowance.is_allowed for allowance in allowances) == 5


async def test_a_window_counts_to_its_limit(throttle: Throttle, key: str) -> None:
    answers = [await throttle.count(key, 3, 60) for _ in range(5)]
    assert answers == [True, True, True, False, False]


async def test_a_window_slides_over_what_was_counted(throttle: Throttle, key: str) -> None:
    assert await throttle.count(key, 2, 1)
    await asyncio.sleep(0.6)
    assert await throttle.count(key, 2, 1)
    assert not await throttle.count(key, 2, 1)
    await asyncio.sleep(0.5)  # the first is more than a second ago, the second is not
    assert await throttle.count(key, 2, 1)
    assert not await throttle.count(key, 2, 1)


async def test_what_succeeded_is_forgotten(throttle: Throttle, key: str) -> None:
    assert await throttle.count(key, 1, 60)
    assert not await throttle.count(key, 1, 60)
    await throttle.forget(key)
    assert await throttle.count(key, 1, 60)


async def test_valkey_sees_no_names_and_keeps_nothing_for_good(
    redis: Redis, throttle: Throttle
) -> None:
    name = f"mia-{new_id()}"
    before = set(await redis.keys("*"))
    await throttle.count(name, 3, 60)
    await throttle.take(f"{name} too", cost=1, capacity=10, per_second=1)
    added = sorted(set(await redis.keys("*")) - before)
    assert [key.startswith(b"homerow:throttle:") for key in added] == [True, True]
    assert not any(b"mia" in key for key in added)
    assert [0 < await redis.ttl(key) <= 60 for key in added] == [True, True]


async def test_scripts_are_sent_again_to_a_valkey_that_forgot_them(
    redis: Redis, throttle: Throttle, key: str
) -> None:
    assert await throttle.count(key, 2, 60)
    await redis.script_flush()
    assert await throttle.count(key, 2, 60)


async def test_it_is_said_that_valkey_is_away(tmp_path: Path) -> None:
    async with open_redis(f"unix://{tmp_path}/nothing.sock") as redis:
        throttle = Throttle(redis)
        with pytest.raises(ThrottleUnavailable):
            await throttle.take("a", cost=1, capacity=1, per_second=1)
        with pytest.raises(ThrottleUnavailable):
            await throttle.count("a", 1, 1)
        with pytest.raises(ThrottleUnavailable):
            await throttle.forget("a")


async def test_nobody_waits_long_for_a_valkey_that_hangs(tmp_path: Path) -> None:
    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(never_answer, tmp_path / "hangs.sock")
    async with server, open_redis(f"unix://{tmp_path}/hangs.sock") as redis:
        async with asyncio.timeout(3):
            with pytest.raises(ThrottleUnavailable):
                await Throttle(redis).count("a", 1, 1)
        await redis.connection_pool.disconnect()
