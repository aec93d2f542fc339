"""Two API processes, a worker and one Valkey: a run that one has started is seen by the other."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from api.graphql.node import encode_id
from api.local import LocalServers
from domain.database import DatabaseRole
from tests.api.graphql.listening import streamed, wired
from tests.api.graphql.seed import add_token
from tests.conftest import KEY_TEXT
from tests.domain.sync.stories import Story
from tests.worker.processes import ROOT, Workers, until

pytestmark = pytest.mark.anyio

START = """mutation ($id: ID!) { syncRunStart(input: {tenantId: $id}) {
    syncRun { id } userErrors { message } } }"""
PARTS = "state finishedAt progress { phase read expected percent rate estimatedFinishAt }"
FOLLOW = f"subscription ($id: ID!) {{ syncRunProgress(id: $id) {{ {PARTS} }} }}"
ASK = f"query ($id: ID!) {{ syncRun(id: $id) {{ {PARTS} }} }}"


def start_api(
    listener: socket.socket, settings: dict[str, str], log: Path
) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "api.serve", str(listener.fileno())],
            cwd=ROOT,
            env={"PATH": os.defpath, **settings},
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


@asynccontextmanager
async def api_process(
    database_url: dict[str, str], redis_url: str, folder: Path, name: str
) -> AsyncGenerator[str]:
    """Its address."""
    settings = {
        "HOMEROW_DATABASE_URL": database_url[DatabaseRole.API],
        "HOMEROW_REDIS_URL": redis_url,
        "HOMEROW_SECRET_KEYS": KEY_TEXT,
        "HOMEROW_METRICS_PORT": "0",
    }
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        process = start_api(listener, settings, folder / name)
    try:
        await until(lambda: is_ready(address), "the API is ready")
        yield address
    finally:
        process.kill()
        process.wait()


async def is_ready(address: str) -> bool:
    with suppress(httpx2.TransportError):
        async with httpx2.AsyncClient() as http:
            return (await http.get(f"http://{address}/readyz")).status_code == 200
    return False


async def ask(address: str, query: str, **variables: Any) -> Any:
    async with httpx2.AsyncClient(headers={"Authorization": "Bearer of-story"}) as http:
        content = {"query": query, "variables": variables}
        answer = (await http.post(f"http://{address}/graphql", json=content)).json()
    assert "errors" not in answer, answer
    return answer["data"]


def metrics_port(log: Path) -> int:
    told = [json.loads(line) for line in log.read_text().splitlines()]
    [port] = [line["port"] for line in told if line["event"] == "metrics_served"]
    return int(port)


async def metrics_at(port: int) -> list[str]:
    async with httpx2.AsyncClient() as http:
        return (await http.get(f"http://127.0.0.1:{port}/metrics")).text.splitlines()


async def test_a_run_that_one_process_started_is_seen_by_another(
    story: Story,
    workers: Workers,
    database_url: dict[str, str],
    local_servers: LocalServers,
    superuser: asyncpg.Connection,
    tmp_path: Path,
) -> None:
    await add_token(superuser, "of-story", story.tenant_id)
    await superuser.execute("UPDATE integrations SET cooldown_minutes = 0")
    url = local_servers.redis_url
    async with (
        api_process(database_url, url, tmp_path, "one.log") as one,
        api_process(database_url, url, tmp_path, "other.log") as other,
        wired(other) as wire,
    ):
        tenant = encode_id("T", story.tenant_id, story.tenant_id)
        started = (await ask(one, START, id=tenant))["syncRunStart"]
        run = started["syncRun"]["id"]
        await wire.begin("of-story")
        await wire.subscribe("one", FOLLOW, id=run)
        waiting = (await wire.hear())["payload"]["data"]["syncRunProgress"]
        assert (waiting["state"], waiting["progress"]["read"]) == ("QUEUED", 0)
        workers.start()
        seen = [waiting]
        while (message := await wire.hear())["type"] == "next":
            seen.append(message["payload"]["data"]["syncRunProgress"])
        assert message == {"type": "complete", "id": "one"}
        last = seen[-1]
        assert last["state"] == "SUCCEEDED_WITH_ERRORS"
        assert last == (await ask(one, ASK, id=run))["syncRun"]
        assert last["progress"]["read"] > 1000
        assert last["progress"]["rate"] > 0
        events = [event async for event in streamed(one, "of-story", FOLLOW, id=run)]
        assert [name for name, _ in events] == ["next", "complete"]
        assert events[0][1]["data"]["syncRunProgress"] == last
        figures = await metrics_at(metrics_port(tmp_path / "other.log"))
    assert "homerow_database_up 1.0" in figures
    assert "homerow_queue_lag_seconds 0.0" in figures
    labels = 'field="syncRunProgress",kind="subscription",outcome="ok"'
    assert f"homerow_graphql_seconds_count{{{labels}}} {len(seen)}.0" in figures
