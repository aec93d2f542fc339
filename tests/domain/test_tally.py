"""How much somebody has at once: counted for all processes, and for each where Valkey is away."""

from contextlib import AsyncExitStack

import pytest

from api.local import LocalServers
from domain import tally
from domain.clock import new_id
from domain.tally import Tally, TooMany
from domain.throttle import open_redis

pytestmark = pytest.mark.anyio


async def test_two_processes_count_together(local_servers: LocalServers) -> None:
    redis, key = open_redis(local_servers.redis_url), str(new_id())
    one, other = Tally(redis), Tally(redis)
    async with one.place(key, 2), AsyncExitStack() as stack:
        await stack.enter_async_context(other.place(key, 2))
        for each in (one, other):
            with pytest.raises(TooMany):
                await stack.enter_async_context(each.place(key, 2))
        await stack.enter_async_context(other.place("another", 2))
        await stack.aclose()
        async with one.place(key, 2):
            pass
    await redis.aclose()


async def test_what_is_not_kept_counts_no_more(
    local_servers: LocalServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "KEPT_SECONDS", 0)
    redis, key = open_redis(local_servers.redis_url), str(new_id())
    dead, alive = Tally(redis), Tally(redis)
    async with dead.place(key, 1), alive.place(key, 1):
        pass
    await redis.aclose()


async def test_a_place_that_valkey_has_forgotten_is_counted_again(
    local_servers: LocalServers,
) -> None:
    redis, key = open_redis(local_servers.redis_url), str(new_id())
    async with Tally(redis).place(key, 1) as place:
        await redis.delete(place.key)
        await place.keep()
        with pytest.raises(TooMany):
            async with Tally(redis).place(key, 1):
                pass
    await redis.aclose()


async def test_without_valkey_each_process_counts_for_itself() -> None:
    away = open_redis("redis://127.0.0.1:1")
    one, other = Tally(away), Tally(away)
    async with one.place("key", 1) as place, other.place("key", 1):
        await place.keep()
        with pytest.raises(TooMany):
            async with one.place("key", 1):
                pass
