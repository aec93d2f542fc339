"""Declaring the day on which a school year begins: one in a year, and not far away."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from domain.clock import new_id
from domain.database import Database
from domain.errors import Conflict, InvalidInput, NotFound
from domain.people.callers import Caller
from domain.resources import Resources
from domain.tenants.service import create_tenant
from domain.training.models import YearRollover
from domain.training.places import PLACES
from domain.training.rollover import (
    USUAL,
    RolloverState,
    Window,
    cancel_rollover,
    closes_on,
    declared_days,
    find_next,
    list_rollovers,
    opens_on,
    set_rollover,
    state_of,
)
from tests.api.graphql.seed import add_group, add_membership, add_school, add_user

pytestmark = pytest.mark.anyio

ADA = Caller(actor="token of Ada", name="Ada")
# In Los Angeles it is the evening before.
NOW = datetime(2026, 7, 2, 3, tzinfo=UTC)
TODAY = date(2026, 7, 1)
DAY = date(2026, 8, 20)


@pytest.fixture
def database(resources: Resources) -> Database:
    return resources.database


@pytest.fixture
async def tenant_id(database: Database) -> UUID:
    tenant_id = new_id()
    async with database.transaction(tenant_id) as session:
        await create_tenant(
            session,
            tenant_id=tenant_id,
            slug="alpha",
            name="Alpha",
            caller=ADA,
            time_zone="America/Los_Angeles",
        )
    return tenant_id


async def declare(
    database: Database, tenant_id: UUID, day: date = DAY, **window: int
) -> YearRollover:
    async with database.transaction(tenant_id) as session:
        return await set_rollover(
            session,
            tenant_id=tenant_id,
            rolls_on=day,
            window=Window(**window),
            caller=ADA,
            now=NOW,
        )


async def cancel(database: Database, tenant_id: UUID, day: date = DAY) -> YearRollover:
    async with database.transaction(tenant_id) as session:
        return await cancel_rollover(
            session, tenant_id=tenant_id, rolls_on=day, caller=ADA, now=NOW
        )


async def declared(database: Database, tenant_id: UUID) -> list[date]:
    async with database.read(tenant_id) as session:
        return list((await declared_days(session, tenant_id, [tenant_id]))[tenant_id])


async def test_a_day_is_declared_with_the_usual_window(
    database: Database, tenant_id: UUID, superuser: asyncpg.Connection
) -> None:
    found = await declare(database, tenant_id)
    assert (opens_on(found), closes_on(found)) == (date(2026, 8, 6), date(2026, 9, 19))
    row = await superuser.fetchrow(
        "SELECT rolls_on, days_before, days_after, archive_percent, update_percent, declared_at,"
        " declared_by, cancelled_at FROM year_rollovers"
    )
    assert tuple(row) == (DAY, *USUAL, NOW, "token of Ada", None)
    act = await superuser.fetchrow("SELECT * FROM audit_log ORDER BY id DESC")
    assert (act["actor"], act["action"], act["target"]) == (
        "token of Ada", "yearRolloverSet", str(found.id)
    )  # fmt: skip
    assert await declared(database, tenant_id) == [DAY]


async def test_a_declared_day_is_given_another_window(database: Database, tenant_id: UUID) -> None:
    first = await declare(database, tenant_id)
    second = await declare(database, tenant_id, days_before=0, days_after=90, archive_percent=100)
    assert second.id == first.id
    assert (second.days_before, second.days_after) == (0, 90)
    assert (second.archive_percent, second.update_percent) == (100, 100)
    assert await declared(database, tenant_id) == [DAY]


async def test_only_one_day_is_declared_in_a_year(
    database: Database, tenant_id: UUID, subtests: pytest.Subtests
) -> None:
    await declare(database, tenant_id)
    for other in (DAY + timedelta(days=1), date(2026, 12, 31), DAY + timedelta(days=180)):
        with subtests.test(day=other):
            with pytest.raises(Conflict, match="begins on 2026-08-20 already") as refused:
                await declare(database, tenant_id, other)
            assert refused.value.field == "rollsOn"
    following = DAY + timedelta(days=181)
    await declare(database, tenant_id, following)
    assert await declared(database, tenant_id) == [DAY, following]


async def test_a_day_is_neither_far_ahead_nor_long_past(
    database: Database, tenant_id: UUID, subtests: pytest.Subtests
) -> None:
    for days in (401, -61):
        with subtests.test(days=days):
            with pytest.raises(InvalidInput) as refused:
                await declare(database, tenant_id, TODAY + timedelta(days=days))
            assert refused.value.field == "rollsOn"
    for days in (400, -60):
        await declare(database, tenant_id, TODAY + timedelta(days=days))


@pytest.mark.parametrize(
    ("window", "field"),
    [
        ({"days_before": 91}, "daysBefore"),
        ({"days_before": -1}, "daysBefore"),
        ({"days_after": 91}, "daysAfter"),
        ({"archive_percent": 101}, "archivePercent"),
        ({"archive_percent": -1}, "archivePercent"),
        ({"update_percent": 101}, "updatePercent"),
    ],
)
async def test_a_window_has_bounds(
    database: Database, tenant_id: UUID, window: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await declare(database, tenant_id, **window)
    assert refused.value.field == field
    assert await declared(database, tenant_id) == []


async def test_a_cancelled_day_is_kept_and_may_be_declared_again(
    database: Database, tenant_id: UUID, superuser: asyncpg.Connection
) -> None:
    first = await declare(database, tenant_id)
    cancelled = await cancel(database, tenant_id)
    assert (cancelled.id, cancelled.cancelled_by) == (first.id, "token of Ada")
    assert await declared(database, tenant_id) == []
    with pytest.raises(NotFound, match="There is no year rollover on '2026-08-20'"):
        await cancel(database, tenant_id)
    again = await declare(database, tenant_id)
    assert again.id != first.id
    async with database.read(tenant_id) as session:
        rows = (await list_rollovers(session, tenant_id, [tenant_id]))[tenant_id]
    assert [state_of(row, TODAY) for row in rows] == [
        RolloverState.UPCOMING,
        RolloverState.CANCELLED,
    ]
    acts = await superuser.fetch("SELECT action FROM audit_log ORDER BY id")
    assert [act[0] for act in acts] == [
        "tenantCreate", "yearRolloverSet", "yearRolloverCancel", "yearRolloverSet"
    ]  # fmt: skip


async def test_a_window_is_open_from_its_first_to_its_last_day(
    database: Database, tenant_id: UUID
) -> None:
    found = await declare(database, tenant_id, days_before=1, days_after=2)
    for day, state in (
        (18, RolloverState.UPCOMING),
        (19, RolloverState.OPEN),
        (22, RolloverState.OPEN),
        (23, RolloverState.OVER),
    ):
        assert state_of(found, date(2026, 8, day)) is state
        async with database.read(tenant_id) as session:
            ahead = await find_next(session, tenant_id=tenant_id, today=date(2026, 8, day))
        assert (ahead and ahead.id) == (None if state is RolloverState.OVER else found.id)


async def test_a_group_that_was_chosen_last_year_counts_again_once_the_day_is_taken_back(
    database: Database, tenant_id: UUID, superuser: asyncpg.Connection
) -> None:
    school = await add_school(superuser, tenant_id)
    user = await add_user(superuser, tenant_id, schools=[school])
    groups = [await add_group(superuser, tenant_id, school) for _ in range(2)]
    for group in groups:
        await add_membership(superuser, tenant_id, user, group)
    await superuser.execute(
        "INSERT INTO default_places (tenant_id, user_id, group_id, group_set_at)"
        " VALUES ($1, $2, $3, now() - interval '3 days')",
        tenant_id,
        user,
        groups[0],
    )

    async def place() -> tuple[UUID | None, str]:
        async with database.read(tenant_id) as session:
            row = (
                await session.execute(text(PLACES), {"tenant_id": tenant_id, "user_ids": [user]})
            ).one()
        return row.group_id, row.group_source

    assert await place() == (groups[0], "CHOSEN")
    await superuser.execute(
        "INSERT INTO year_rollovers (tenant_id, rolls_on, days_before, days_after,"
        " archive_percent, update_percent, declared_by)"
        " SELECT id, (now() AT TIME ZONE time_zone)::date, 14, 30, 60, 100, 'x' FROM tenants"
    )
    assert await place() == (None, "ASK")
    await superuser.execute("UPDATE year_rollovers SET cancelled_at = now()")
    assert await place() == (groups[0], "CHOSEN")
