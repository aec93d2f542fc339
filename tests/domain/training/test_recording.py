"""Results are counted once each, for whom and where and when they were earned."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from domain.clock import new_id, utc_now
from domain.resources import Resources
from domain.sync.retention import drop_what_is_old
from domain.training.recording import AHEAD, IDS_KEPT, OLDEST, Recorded, Rejection, RejectionCode
from tests.api.graphql.client import counted_statements
from tests.domain.training.classes import Classes, new_classes, result

pytestmark = pytest.mark.anyio

CHOOSE = (
    "INSERT INTO default_places (tenant_id, user_id, group_id, group_set_at, group_set_by)"
    " VALUES ($1, $2, $3, now(), 'x')"
)


def codes(recorded: Recorded) -> dict[int, RejectionCode]:
    return {rejection.position: rejection.code for rejection in recorded.rejected}


async def test_results_add_up_and_the_best_is_kept(classes: Classes) -> None:
    group = await classes.group()
    mia = await classes.student(group)
    late = utc_now()
    recorded = await classes.record(
        result(mia, group, speed=31.5, accuracy=96.25, lessons=2, seconds=600),
        result(mia, group, speed=28, accuracy=97, occurred_at=late),
        result(mia, group, lessons=0, seconds=40),
    )
    assert recorded == Recorded(3, 0, [])
    await classes.record(result(mia, group, speed=30.5))
    row = await classes.see.fetchrow("SELECT * FROM progress")
    assert (row["lessons"], row["seconds"]) == (4, 1240)
    assert (row["best_speed"], row["speed_total"], row["speed_count"]) == (
        Decimal("31.50"), Decimal("90.00"), 3,
    )  # fmt: skip
    assert (row["best_accuracy"], row["accuracy_total"], row["accuracy_count"]) == (
        Decimal("97.00"), Decimal("193.25"), 2,
    )  # fmt: skip
    assert row["last_active_at"] == late


async def test_an_event_counts_once_however_often_it_is_told(classes: Classes) -> None:
    group = await classes.group()
    mia = await classes.student(group)
    first, second = result(mia, group), result(mia, group)
    assert await classes.record(first, second, first) == Recorded(2, 1, [])
    before = await classes.rows()
    assert await classes.record(second, first) == Recorded(0, 2, [])
    assert await classes.record(first._replace(lessons=9)) == Recorded(0, 1, [])
    assert await classes.rows() == before
    assert await classes.totals() == {(mia, group): (2, 600)}


async def test_the_same_id_of_another_tenant_is_another_event(
    classes: Classes, resources: Resources
) -> None:
    other = await new_classes(resources.database, classes.see, "beta")
    for tenant in (classes, other):
        group = await tenant.group()
        mia = await tenant.student(group)
        assert (await tenant.record(result(mia, group, event_id="e1"))).counted == 1
    assert len(await classes.totals()) == 2


async def test_what_is_wrong_with_an_event_rejects_that_one_alone(classes: Classes) -> None:
    group, other = await classes.group(), await classes.group()
    mia = await classes.student(group)
    now = utc_now()
    recorded = await classes.record(
        result(mia, group, event_id="first"),
        result(mia, group, event_id=""),
        result(mia, group, event_id="x" * 201),
        result(mia, group, lessons=-1),
        result(mia, group, seconds=86_401),
        result(mia, group, speed=999.01),
        result(mia, group, accuracy=100.5),
        result(mia, group, occurred_at=datetime(2026, 9, 1, 8)),  # noqa: DTZ001 - that is wrong
        result(mia, group, occurred_at=now + AHEAD + timedelta(minutes=1)),
        result(mia, group, occurred_at=now - OLDEST - timedelta(minutes=1)),
        result(new_id(), group),
        result(mia, other, event_id="elsewhere"),
        result(mia, new_id()),
        result(mia, group, accuracy=100, speed=999, event_id="x" * 200),
        now=now,
    )
    assert recorded.counted == 2
    assert codes(recorded) == {
        **dict.fromkeys(range(1, 8), RejectionCode.INVALID),
        8: RejectionCode.IN_FUTURE,
        9: RejectionCode.TOO_OLD,
        10: RejectionCode.USER_NOT_FOUND,
        11: RejectionCode.NOT_A_MEMBER,
        12: RejectionCode.NOT_A_MEMBER,
    }
    assert recorded.rejected[10] == Rejection(
        11,
        "elsewhere",
        RejectionCode.NOT_A_MEMBER,
        "The person is not in this group and never was.",
    )
    assert await classes.totals() == {(mia, group): (2, 600)}


async def test_a_rejected_event_can_be_told_again_rightly(classes: Classes) -> None:
    group = await classes.group()
    mia = await classes.student(group)
    event = result(mia, group, event_id="e1")
    wrong = event._replace(user_id=new_id())
    assert codes(await classes.record(wrong)) == {0: RejectionCode.USER_NOT_FOUND}
    recorded = await classes.record(wrong, event)
    assert (recorded.counted, recorded.repeated, len(recorded.rejected)) == (1, 0, 1)


async def test_results_of_a_group_that_was_left_still_count_there(classes: Classes) -> None:
    group = await classes.group()
    mia = await classes.student(group)
    await classes.leave(mia, group)
    assert (await classes.record(result(mia, group))).counted == 1


async def test_without_a_group_it_is_the_one_that_the_person_lands_in(classes: Classes) -> None:
    first, second = await classes.group(), await classes.group()
    only, chosen = await classes.student(first), await classes.student(first, second)
    asked, nowhere = await classes.student(first, second), await classes.student()
    await classes.see.execute(CHOOSE, classes.tenant_id, chosen, second)
    recorded = await classes.record(*(result(who, None) for who in (only, chosen, asked, nowhere)))
    assert codes(recorded) == {
        2: RejectionCode.NO_DEFAULT_GROUP,
        3: RejectionCode.NO_DEFAULT_GROUP,
    }
    assert "say which group it was" in recorded.rejected[0].message
    assert set(await classes.totals()) == {(only, first), (chosen, second)}


async def test_results_of_who_was_merged_are_the_kept_persons(classes: Classes) -> None:
    group = await classes.group()
    kept = await classes.student(group)
    between, gone = await classes.student(), await classes.student()
    for merged, into in ((gone, between), (between, kept)):
        await classes.see.execute(
            "UPDATE users SET merged_into_id = $2, archived_at = now(), source_id = NULL"
            " WHERE id = $1",
            merged,
            into,
        )
    assert (await classes.record(result(gone, group), result(gone, None))).counted == 2
    assert await classes.totals() == {(kept, group): (2, 600)}


async def test_the_school_year_is_that_of_the_tenants_own_day(classes: Classes) -> None:
    group = await classes.group()
    mia = await classes.student(group)
    await classes.see.execute("UPDATE tenants SET time_zone = 'America/Los_Angeles'")
    declare = (
        "INSERT INTO year_rollovers (tenant_id, rolls_on, days_before, days_after,"
        " archive_percent, update_percent, declared_by, cancelled_at)"
        " VALUES ($1, $2, 0, 0, 0, 0, 'x', $3)"
    )
    now = datetime(2026, 11, 1, tzinfo=UTC)
    await classes.see.execute(declare, classes.tenant_id, datetime(2026, 8, 15).date(), None)  # noqa: DTZ001
    await classes.see.execute(declare, classes.tenant_id, datetime(2026, 8, 20).date(), now)  # noqa: DTZ001
    for lessons, moment in (
        (1, datetime(2026, 8, 15, 6, 59, tzinfo=UTC)),
        (2, datetime(2026, 8, 15, 7, 0, tzinfo=UTC)),
        (4, datetime(2026, 7, 2, tzinfo=UTC)),
        (8, datetime(2025, 10, 1, tzinfo=UTC)),
    ):
        event = result(mia, group, lessons=lessons, occurred_at=moment)
        assert (await classes.record(event, now=now)).counted == 1
    rows = await classes.see.fetch("SELECT school_year, lessons FROM progress ORDER BY 1")
    assert [tuple(row) for row in rows] == [(2025, 13), (2026, 2)]


@pytest.mark.parametrize("number", [1, 100_000])
async def test_any_number_of_events_costs_the_same_statements(
    classes: Classes, resources: Resources, number: int
) -> None:
    groups = [await classes.group() for _ in range(4)]
    users = [await classes.student(*groups) for _ in range(25)]
    events = [
        result(users[n % 25], groups[n % 4], event_id=f"e{n}", speed=n % 60) for n in range(number)
    ]
    with counted_statements(resources.database.engine.sync_engine) as statements:
        recorded = await classes.record(*events)
    assert recorded == Recorded(number, 0, [])
    assert len(statements) == 7
    assert await classes.record(*events) == Recorded(0, number, [])
    totals = await classes.totals("lessons", "speed_total", "speed_count")
    assert len(totals) == min(number, 100)
    assert [sum(column) for column in zip(*totals.values(), strict=True)] == [
        number,
        sum(n % 60 for n in range(number)),
        number,
    ]


async def test_batches_side_by_side_neither_lose_nor_lock_each_other(classes: Classes) -> None:
    """All tell the same events about the same people, each in another order."""
    group = await classes.group()
    users = [await classes.student(group) for _ in range(8)]
    events = [result(users[n % 8], group, event_id=f"e{n}") for n in range(80)]

    async def tell(start: int) -> int:
        turned = events[start:] + events[:start]
        return (await classes.record(*reversed(turned) if start % 2 else turned)).counted

    counted = await asyncio.gather(*(tell(start) for start in range(0, 80, 10)), tell(33))
    assert sum(counted) == 80
    assert await classes.totals() == {(user, group): (10, 3000) for user in users}


async def test_results_and_carries_side_by_side_neither_lose_nor_lock_each_other(
    classes: Classes,
) -> None:
    first, second = await classes.group(), await classes.group()
    users = [await classes.student(first, second) for _ in range(4)]
    await classes.record(*(result(user, first) for user in users))

    async def tell(group: UUID) -> None:
        for _ in range(5):
            await classes.record(*(result(user, group) for user in users))

    async def carry() -> None:
        for _ in range(5):
            await classes.undo(*await classes.carry(first, second, users))

    await asyncio.gather(tell(first), tell(second), carry(), tell(first))
    assert await classes.totals() == {
        **{(user, first): (11, 3300) for user in users},
        **{(user, second): (5, 1500) for user in users},
    }


async def test_ids_are_forgotten_when_their_events_would_be_too_old(
    classes: Classes, worker_resources: Resources
) -> None:
    group = await classes.group()
    mia = await classes.student(group)
    now = utc_now()
    await classes.record(result(mia, group, event_id="old", occurred_at=now - OLDEST), now=now)
    await classes.record(result(mia, group, event_id="new", occurred_at=now), now=now)
    later = now + (IDS_KEPT - OLDEST)
    await drop_what_is_old(worker_resources.database, now=later)
    assert await classes.see.fetchval("SELECT count(*) FROM progress_events") == 2
    await drop_what_is_old(worker_resources.database, now=later + timedelta(seconds=1))
    left = await classes.see.fetch("SELECT event_id FROM progress_events")
    assert [row[0] for row in left] == ["new"]
    again = result(mia, group, event_id="old", occurred_at=now - OLDEST)
    assert codes(await classes.record(again, now=later)) == {0: RejectionCode.TOO_OLD}
