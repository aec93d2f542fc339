"""News of a run reach whoever follows it, in whichever process."""

import asyncio

import pytest
from redis.asyncio import Redis

from api.local import LocalServers
from domain.clock import new_id
from domain.news import News, channel_of
from domain.resources import Resources
from domain.throttle import open_redis
from tests.worker.processes import until

pytestmark = pytest.mark.anyio

SECONDS = 10.0


async def until_followed(redis: Redis, channel: str, times: int) -> None:
    async def is_so() -> bool:
        return bool((await redis.pubsub_numsub(channel))[0][1] == times)

    await until(is_so, f"{times} processes hear of {channel}")


async def test_each_follower_hears_of_its_own_run(
    resources: Resources, local_servers: LocalServers
) -> None:
    redis = open_redis(local_servers.redis_url)
    here, there = News(redis), News(redis)
    run, other = new_id(), new_id()
    with here.of(run) as first, here.of(run) as second, there.of(run) as third:
        with there.of(other) as unmoved:
            await until_followed(redis, channel_of(run), 2)
            await until_followed(redis, channel_of(other), 1)
            resources.queue.announce(run)
            async with asyncio.timeout(SECONDS):
                await asyncio.gather(first.wait(), second.wait(), third.wait())
            assert not unmoved.is_set()
        await until_followed(redis, channel_of(other), 0)
    await until_followed(redis, channel_of(run), 0)
    await asyncio.gather(here.close(), there.close())
    await redis.aclose()
