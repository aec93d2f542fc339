"""Times a page of a list: the API's answer by HTTP, and the same JSON by one statement of SQL."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg

from domain.clock import utc_now
from domain.database import DatabaseRole
from domain.integrations.service import Configuration
from domain.people.callers import Scope
from domain.people.tokens import create_api_token
from domain.roster.source import Provider
from tests.benchmarks.list_floor import ORDERS, QUERY, floor_sql
from tests.benchmarks.list_seed import seed_training
from tests.benchmarks.places import ROOT
from tests.benchmarks.syncing import KEY
from tests.benchmarks.workshop import (
    Bench,
    as_dsn,
    create_bench_tenant,
    read_successful_run,
    request_sync,
    run_program,
    say,
)

WARM_UP = 5
"""Pages that are not counted: imports, connections, prepared statements."""


@dataclass(frozen=True, slots=True)
class Page:
    """One timed page, and the floor that was timed right after it."""

    seconds: float
    floor: float

    @property
    def ratio(self) -> float:
        return self.seconds / self.floor


@dataclass(frozen=True, slots=True)
class Listed:
    """All pages in one order."""

    order: str
    bytes: int
    pages: Sequence[Page]

    @property
    def seconds(self) -> float:
        return median(page.seconds for page in self.pages)

    @property
    def floor(self) -> float:
        return median(page.floor for page in self.pages)

    @property
    def ratio(self) -> float:
        """Of the medians: what delays a single page or floor does not count."""
        return self.seconds / self.floor


@dataclass(frozen=True, slots=True)
class Caller:
    """Asks for the page, keeping its connection as a frontend's server does."""

    connection: HTTPConnection
    secret: str
    slug: str

    def ask(self, order: str) -> bytes:
        body = json.dumps({"query": QUERY, "variables": {"slug": self.slug, "order": order}})
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        self.connection.request("POST", "/graphql", body, headers)
        response = self.connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise RuntimeError(f"the page was answered with {response.status}: {content!r}")
        return content


async def measure_lists(bench: Bench, package: Path, *, repetitions: int) -> list[Listed]:
    tenant_id = await _sync(bench, package)
    await seed_training(bench.url("postgres"), tenant_id)
    await bench.command("VACUUM (ANALYZE)")
    secret, slug = await _token(bench, tenant_id)
    with _serving(bench) as port, _connected(port) as connection:
        caller = Caller(connection, secret, slug)
        async with _floor_connection(bench, tenant_id) as floor:
            return [
                await _measure(caller, floor, tenant_id, order=order, repetitions=repetitions)
                for order in ORDERS
            ]


async def _measure(
    caller: Caller, floor: asyncpg.Connection, tenant_id: UUID, *, order: str, repetitions: int
) -> Listed:
    pages = []
    sql, answer = floor_sql(order), b""
    for number in range(WARM_UP + repetitions):
        began = time.perf_counter()
        answer = caller.ask(order)
        between = time.perf_counter()
        floor_answer = await floor.fetchval(sql, tenant_id)
        ended = time.perf_counter()
        if number == 0 and _json(answer)["data"] != _json(floor_answer)["data"]:
            raise RuntimeError("the API and the floor do not give the same JSON")
        if number >= WARM_UP:
            pages.append(Page(between - began, ended - between))
    listed = Listed(order, len(answer), pages)
    say(
        f"  by {order}: {listed.seconds * 1000:.1f} ms, floor {listed.floor * 1000:.1f} ms:"
        f" {listed.ratio:.2f} floors"
    )
    return listed


def _json(text: str | bytes) -> Any:
    return json.loads(text)


async def _sync(bench: Bench, package: Path) -> UUID:
    tenant_id = await create_bench_tenant(bench)
    configuration = Configuration(Provider.ONEROSTER_CSV, {"path": str(package)})
    run_id = await request_sync(bench, tenant_id, configuration)
    await run_program("syncing", bench.url(DatabaseRole.WORKER), bench.servers.redis_url)
    await read_successful_run(bench, tenant_id, run_id)
    return tenant_id


async def _token(bench: Bench, tenant_id: UUID) -> tuple[str, str]:
    async with bench.resources.database.transaction(tenant_id) as session:
        _, secret = await create_api_token(
            session,
            tenant_id=tenant_id,
            name="benchmark",
            scopes=[Scope.ROSTER_READ],
            now=utc_now(),
        )
    return secret, f"t-{tenant_id}"


@contextmanager
def _serving(bench: Bench) -> Generator[int]:
    """The API as `homerow up` runs it, in a process of its own, on the port that is given."""
    environment = {
        **os.environ,
        "HOMEROW_ENVIRONMENT": "production",
        "HOMEROW_DATABASE_URL": bench.url(DatabaseRole.API),
        "HOMEROW_REDIS_URL": bench.servers.redis_url,
        "HOMEROW_SECRET_KEYS": KEY,
    }
    # With the protocol named asyncio sends small answers without waiting for what follows them.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "api.serve", str(listener.fileno())],
            cwd=ROOT,
            env=environment,
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
        port: int = listener.getsockname()[1]
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _connected(port: int) -> Generator[HTTPConnection]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


@asynccontextmanager
async def _floor_connection(bench: Bench, tenant_id: UUID) -> AsyncGenerator[asyncpg.Connection]:
    """As the API's role, which row-level security holds. Its plan is made once, like the API's."""
    connection = await asyncpg.connect(as_dsn(bench.url(DatabaseRole.API)))
    try:
        await connection.execute(
            "SELECT set_config('homerow.tenant_id', $1, false)", str(tenant_id)
        )
        yield connection
    finally:
        await connection.close()
