"""What both processes are made of: the database, the queue, the keys and the providers."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from domain.database import Database, DatabaseRole, create_engine
from domain.news import News
from domain.one_time import OneTime
from domain.providers import open_source
from domain.providers.hosts import Hosts
from domain.queue import ArqQueue
from domain.roster.source import SourceOpener
from domain.secrets import KeyRing
from domain.tally import Tally
from domain.throttle import Throttle, open_redis


@dataclass(frozen=True, slots=True)
class Resources:
    database: Database
    queue: ArqQueue
    keys: KeyRing
    redis_url: str
    throttle: Throttle
    one_time: OneTime
    tally: Tally
    news: News
    open_source: SourceOpener
    hosts: Hosts


@asynccontextmanager
async def open_resources(
    *, database_url: str, redis_url: str, keys: KeyRing, hosts: Hosts, role: DatabaseRole
) -> AsyncGenerator[Resources]:
    queue = await ArqQueue.connect(redis_url)
    engine = create_engine(database_url, role)
    redis = open_redis(redis_url)
    news = News(redis)
    try:
        yield Resources(
            database=Database(engine=engine, queue=queue, url=database_url, role=role),
            queue=queue,
            keys=keys,
            redis_url=redis_url,
            throttle=Throttle(redis),
            one_time=OneTime(redis),
            tally=Tally(redis),
            news=news,
            open_source=partial(open_source, hosts=hosts),
            hosts=hosts,
        )
    finally:
        await engine.dispose()
        await news.close()
        await redis.aclose()
        await queue.close()
