"""What may happen to workers and servers in a night, at random."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from api.local import start_postgres, start_valkey
from api.migrate import migrate
from domain.database import DatabaseRole
from domain.jobs import WAKE
from domain.resources import Resources, open_resources
from domain.secrets import KeyRing
from tests.conftest import FAST, dsn
from tests.sources import HOSTS
from tests.worker.processes import Process, Workers, open_workers

WORKERS = 2
PATIENCE = 120.0
"""Seconds within which all is done once it is calm: a dead worker is replaced within one minute."""


@dataclass
class Storm:
    """Servers of its own, two workers, and what happens to them.

    With `is_hurried` a silent worker is taken for dead at once.
    """

    folder: Path
    urls: dict[str, str]
    api: Resources
    worker: Resources
    workers: Workers
    chance: random.Random
    see: asyncpg.Connection
    is_hurried: bool = True
    alive: list[Process] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def valkey(self) -> Path:
        return self.folder / "valkey"

    def man(self) -> None:
        """As many workers as there should be."""
        self.alive = [one for one in self.alive if one.is_alive]
        while len(self.alive) < WORKERS:
            self.alive.append(self.workers.start())

    async def rage(self, strikes: int) -> None:
        ways: dict[Callable[[], Awaitable[None]], int] = {
            self.kill_worker: 4,
            self.stop_worker: 3,
            self.flush_valkey: 1,
            self.restart_valkey: 1,
            self.kill_valkey: 1,
            self.restart_postgres: 1,
            self.kill_postgres: 2,
        }
        for _ in range(strikes):
            self.man()
            await asyncio.sleep(self.chance.uniform(0.0, 1.5))
            [strike] = self.chance.choices(list(ways), weights=list(ways.values()))
            self.told.append(strike.__name__)
            await strike()
        self.man()

    async def kill_worker(self) -> None:
        self.chance.choice(self.alive).kill()
        await self.hurry()

    async def stop_worker(self) -> None:
        """It wakes later, and knows nothing of what has happened."""
        worker = self.chance.choice(self.alive)
        os.kill(worker.pid, signal.SIGSTOP)
        await self.hurry()
        await asyncio.sleep(self.chance.uniform(0.1, 2.0))
        os.kill(worker.pid, signal.SIGCONT)

    async def flush_valkey(self) -> None:
        redis = Redis(unix_socket_path=str(start_valkey(self.valkey).socket))
        try:
            await redis.flushall()
        finally:
            await redis.aclose()

    async def restart_valkey(self) -> None:
        start_valkey(self.valkey).stop()
        await asyncio.sleep(self.chance.uniform(0.0, 1.0))
        start_valkey(self.valkey)

    async def kill_valkey(self) -> None:
        os.kill(start_valkey(self.valkey).pid, signal.SIGKILL)
        await asyncio.sleep(self.chance.uniform(0.0, 1.0))
        start_valkey(self.valkey)

    async def restart_postgres(self) -> None:
        start_postgres(self.postgres).stop()
        await self._return_postgres()

    async def kill_postgres(self) -> None:
        """Which empties what is not logged."""
        os.kill(start_postgres(self.postgres).pid, signal.SIGKILL)
        await self._return_postgres()

    async def _return_postgres(self) -> None:
        self.see.terminate()
        await asyncio.sleep(self.chance.uniform(0.0, 1.0))
        await asyncio.to_thread(start_postgres, self.postgres, settings=FAST)
        self.see = await asyncpg.connect(dsn(self.urls["postgres"]))

    async def hurry(self) -> None:
        """Every worker has been silent for long, also those that live: they are overtaken."""
        if self.is_hurried:
            await self.see.execute(
                "UPDATE sync_leases SET heartbeat_at = now() - interval '1 minute'"
            )
            await self.api.queue.put(WAKE)

    async def calm(self) -> None:
        """Until all runs have ended, all that ended is told and all that is told is sent."""
        await self.hurry()
        await self._until("SELECT EXISTS (SELECT FROM sync_runs WHERE finished_at IS NULL)")
        await self.rest()
        self.man()  # who looks at once
        await self._until(
            "SELECT EXISTS (SELECT FROM sync_runs WHERE told_at IS NULL AND mode = 'FULL')"
        )
        await self._until("SELECT EXISTS (SELECT FROM mail_outbox WHERE sent_at IS NULL)")

    async def rest(self) -> None:
        """Every worker ends as it is asked to. The mail server needs us meanwhile."""
        for worker in self.alive:
            await worker.until_it_says("worker_started")
            assert await asyncio.to_thread(worker.terminate) == 0
        self.alive.clear()

    async def _until(self, unfinished: str) -> None:
        """A mail whose sender died is due again after minutes: they pass at once."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while await self.see.fetchval(unfinished):
            assert asyncio.get_running_loop().time() < deadline, f"{unfinished}: {self.told}"
            await self.see.execute(
                "UPDATE mail_outbox SET due_at = now() WHERE sent_at IS NULL"
                " AND due_at - now() < interval '5 minutes' - interval '5 seconds'"
            )
            await asyncio.sleep(0.2)

    def complaints(self) -> list[str]:
        """What no storm excuses, in the workers' logs."""
        logs = sorted(self.workers.folder.glob("worker-*.log"))
        lines = [line for log in logs for line in log.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if "Traceback" in line or "run_failed" in line]


@asynccontextmanager
async def gathering(
    folder: Path, keys: KeyRing, seed: int, smtp_port: int
) -> AsyncGenerator[Storm]:
    """A storm that is about to begin."""
    server = start_postgres(folder / "postgres", settings=FAST)
    try:
        urls = {login: server.url(login) for login in ("postgres", *DatabaseRole)}
        await migrate(urls["postgres"])
        redis_url = start_valkey(folder / "valkey").url
        settings = {
            "HOMEROW_SMTP_URL": f"smtp://127.0.0.1:{smtp_port}",
            "HOMEROW_MAIL_FROM": "Homerow <night@homerow.example>",
        }
        open_as = partial(open_resources, redis_url=redis_url, keys=keys, hosts=HOSTS)
        async with (
            open_as(database_url=urls[DatabaseRole.API], role=DatabaseRole.API) as api,
            open_as(database_url=urls[DatabaseRole.WORKER], role=DatabaseRole.WORKER) as worker,
        ):
            logs = folder / "logs"
            logs.mkdir()
            with open_workers(urls, redis_url, logs, settings) as workers:
                storm = Storm(
                    folder=folder,
                    urls=urls,
                    api=api,
                    worker=worker,
                    workers=workers,
                    chance=random.Random(seed),  # noqa: S311 - a seed makes it repeatable
                    see=await asyncpg.connect(dsn(urls["postgres"])),
                )
                try:
                    yield storm
                finally:
                    storm.see.terminate()
    finally:
        start_valkey(folder / "valkey").stop()
        start_postgres(folder / "postgres").stop()
