"""/metrics: what a process counts, and what the database says of all of them."""

import asyncio
import dataclasses
import json
from datetime import timedelta

import asyncpg
import httpx2
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from domain.clock import utc_now
from domain.database import Database
from domain.figures import read_figures, serving_metrics
from domain.metrics import GRAPHQL_SECONDS, RUNS_ENDED, counted_open
from domain.resources import Resources
from tests.api.graphql.seed import add_integration, add_run, add_tenant, insert

pytestmark = pytest.mark.anyio

QUIET = {
    "records_per_second": {"": 0.0},
    "queue_lag_seconds": {"": 0.0},
    "holds_open": {"": 0.0},
    "schedules_due": {"": 0.0},
    "schedules_lag_seconds": {"": 0.0},
    "mails_lag_seconds": {"": 0.0},
}


async def scrape(database: Database) -> str:
    with serving_metrics(database, host="127.0.0.1", port=0) as port:
        async with httpx2.AsyncClient() as http:
            response = await http.get(f"http://127.0.0.1:{port}/metrics")
    assert response.status_code == 200
    return response.text


async def test_where_nothing_happens_all_is_nought(resources: Resources) -> None:
    assert await read_figures(resources.database) == QUIET


async def test_figures_are_of_all_tenants_together(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    ago = utc_now() - timedelta(minutes=10)
    for slug, state in (("alpha", "QUEUED"), ("beta", "FETCHING"), ("gamma", "FETCHING")):
        tenant = await add_tenant(superuser, slug)
        integration = await add_integration(superuser, tenant)
        run = await add_run(
            superuser,
            tenant,
            integration,
            state=state,
            requested_at=ago,
            finished_at=None,
            progress={"read": 1, "rate": 50.5},
        )
        await insert(
            superuser, "holds", tenant_id=tenant, run_id=run, reasons=json.dumps([]), told=[]
        )
        await superuser.execute(
            "INSERT INTO sync_schedules (tenant_id, integration_id, local_time, every_days,"
            " first_on, next_due_at) VALUES ($1, $2, '21:00', 1, '2026-01-01', $3)",
            tenant,
            integration,
            ago,
        )
        mail = {"kind": "x", "recipient": "x", "subject": "x", "body_text": "x", "body_html": "x"}
        for attempts in (0, 3, 12):
            await insert(
                superuser, "mail_outbox", tenant_id=tenant, due_at=ago, attempts=attempts, **mail
            )
    for each in (resources, worker_resources):
        found = {name: dict(values) for name, values in (await read_figures(each.database)).items()}
        for name in ("queue", "schedules", "mails"):
            assert found.pop(f"{name}_lag_seconds")[""] == pytest.approx(600, abs=60)
        assert found == {
            "runs_unfinished": {"QUEUED": 1.0, "FETCHING": 2.0},
            "records_per_second": {"": 101.0},
            "holds_open": {"": 3.0},
            "schedules_due": {"": 3.0},
            "mails_unsent": {"new": 3.0, "tried": 3.0, "given_up": 3.0},
        }


async def test_they_are_served_with_what_the_process_counted(resources: Resources) -> None:
    RUNS_ENDED.labels("FULL", "SUCCEEDED").inc()
    GRAPHQL_SECONDS.labels("query", "viewer", "ok").observe(0.02)
    with counted_open("sockets"):
        text = await scrape(resources.database)
    for line in (
        "homerow_database_up 1.0",
        "homerow_holds_open 0.0",
        "homerow_queue_lag_seconds 0.0",
        'homerow_open{kind="sockets"} 1.0',
        'homerow_graphql_seconds_bucket{field="viewer",kind="query",le="0.05",outcome="ok"} ',
        'homerow_runs_ended_total{mode="FULL",state="SUCCEEDED"} ',
    ):
        assert any(said.startswith(line) for said in text.splitlines()), line
    assert 'homerow_open{kind="sockets"} 0.0' in await scrape(resources.database)


async def test_without_the_database_the_rest_is_told(resources: Resources) -> None:
    engine = create_async_engine(make_url(resources.database.url).set(database="nowhere"))
    text = await scrape(dataclasses.replace(resources.database, engine=engine))
    await engine.dispose()
    assert "homerow_database_up 0.0" in text
    assert "homerow_holds_open" not in text
    assert "homerow_records_read_total " in text


async def test_nothing_is_served_without_a_port_or_where_it_is_taken(resources: Resources) -> None:
    with serving_metrics(resources.database, host="127.0.0.1", port=None) as port:
        assert port is None
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    async with server:
        taken = server.sockets[0].getsockname()[1]
        with serving_metrics(resources.database, host="127.0.0.1", port=taken) as port:
            assert port is None
