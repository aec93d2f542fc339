"""What both processes are made of: the database, the queue and the keys."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from domain.database import Database, DatabaseRole, create_engine
from domain.queue import ArqQueue
from domain.secrets import KeyRing


@dataclass(frozen=True, slots=True)
class Resources:
    database: Database
    queue: ArqQueue
    keys: KeyRing
    redis_url: str


@asynccontextmanager
async def open_resources(
    *, database_url: str, redis_url: str, keys: KeyRing, role: DatabaseRole
) -> AsyncGenerator[Resources]:
    queue = await ArqQueue.connect(redis_url)
    engine = create_engine(database_url, role)
    try:
        yield Resources(
            database=Database(engine=engine, queue=queue, url=database_url, role=role),
            queue=queue,
            keys=keys,
            redis_url=redis_url,
        )
    finally:
        await engine.dispose()
        await queue.close()
