"""How each tenant stands, for those on the product's own side."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain.clock import new_id, utc_now
from domain.resources import Resources
from domain.sync.models import SyncRunState
from domain.sync.standing import Standing, list_standing
from domain.tenants.service import list_summaries
from tests.api.graphql.seed import add_integration, add_run, add_tenant, insert

pytestmark = pytest.mark.anyio

AGO = utc_now() - timedelta(hours=2)


async def standing(resources: Resources) -> dict[str, Standing]:
    async with resources.database.read() as session:
        found = await list_standing(session, now=utc_now())
    return {each.slug: each for each in found}


async def ended(
    superuser: asyncpg.Connection, tenant: UUID, integration: UUID, state: str, **values: Any
) -> UUID:
    row = {"id": new_id(), "finished_at": AGO} | values
    return await add_run(superuser, tenant, integration, state=state, **row)


async def test_each_tenant_stands_as_its_runs_do(
    resources: Resources, superuser: asyncpg.Connection
) -> None:
    ids = {}
    for slug in ("busy", "failing", "held", "idle"):
        tenant = await add_tenant(superuser, slug)
        ids[slug] = (tenant, await add_integration(superuser, tenant))
    held = await ended(superuser, *ids["held"], "SUCCEEDED_WITH_HOLD")
    await insert(
        superuser, "holds", tenant_id=ids["held"][0], run_id=held, reasons=[{"code": "x"}], told=[]
    )
    await ended(superuser, *ids["failing"], "FAILED", failure_code="OLD")
    await ended(superuser, *ids["failing"], "SUCCEEDED")
    for code in ("CONN_REFUSED", "CONN_TIMEOUT"):
        await ended(superuser, *ids["failing"], "FAILED", failure_code=code)
    await ended(superuser, *ids["failing"], "FAILED", mode="PREFLIGHT", failure_code="NO")
    queued = await add_run(superuser, *ids["busy"], state="QUEUED", finished_at=None)
    running = await add_run(
        superuser,
        *ids["busy"],
        state="FETCHING",
        finished_at=None,
        progress={"read": 50, "expected": 200, "rate": 10.0},
    )
    await superuser.execute(
        "INSERT INTO sync_schedules (tenant_id, integration_id, local_time, every_days, first_on,"
        " next_due_at) VALUES ($1, $2, '21:00', 1, '2026-01-01', $3)",
        *ids["idle"],
        AGO,
    )

    found = await standing(resources)

    assert list(found) == ["busy", "failing", "held", "idle"]
    underway = found["busy"].underway
    assert underway is not None
    assert underway.run_id == running != queued
    assert (underway.state, underway.progress.percent) == (SyncRunState.FETCHING, 25)
    assert (found["failing"].failures, found["failing"].failure_code) == (2, "CONN_TIMEOUT")
    assert found["failing"].last_success_at == AGO
    assert (found["held"].held_run_id, found["held"].failures) == (held, 0)
    assert (found["idle"].is_due, found["idle"].due_at) == (True, AGO)
    assert (found["busy"].is_due, found["idle"].last_success_at) == (False, None)
    assert {each.late_since for each in found.values()} == {None}


async def test_a_late_tenant_is_told_and_nothing_is_due_of_a_paused_one(
    resources: Resources, superuser: asyncpg.Connection
) -> None:
    late = await add_tenant(superuser, "late")
    paused = await add_tenant(superuser, "paused")
    for tenant in (late, paused):
        await superuser.execute(
            "INSERT INTO sync_schedules (tenant_id, integration_id, local_time, every_days,"
            " first_on, next_due_at) VALUES ($1, $2, '21:00', 1, '2026-01-01', $3)",
            tenant,
            await add_integration(superuser, tenant),
            AGO,
        )
    await superuser.execute(
        "INSERT INTO sync_standings (tenant_id, late_told_at) VALUES ($1, $2)", late, AGO
    )
    await superuser.execute("UPDATE tenants SET status = 'PAUSED' WHERE id = $1", paused)
    found = await standing(resources)
    assert [found[slug].late_since for slug in ("late", "paused")] == [AGO, None]
    assert [found[slug].due_at for slug in ("late", "paused")] == [AGO, None]
    async with resources.database.read() as session:
        summaries = await list_summaries(session, tenant_ids=[late, paused])
    assert [summaries[tenant].next_sync_at for tenant in (late, paused)] == [AGO, None]


async def test_workers_are_not_told(
    worker_resources: Resources, superuser: asyncpg.Connection
) -> None:
    await add_tenant(superuser, "alpha")
    with pytest.raises(Exception, match="permission denied for function list_standing"):
        await standing(worker_resources)
