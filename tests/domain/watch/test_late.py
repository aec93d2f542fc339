"""The promise of a day: who is late is told once, to both sides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.clock import new_id, utc_now
from domain.integrations.schedules import ScheduleSetting, pause, resume, set_schedule
from domain.people.callers import COMMAND_LINE
from domain.tenants.service import time_zones
from domain.watch.late import ALLOWANCE
from tests.domain.sync.stories import Story
from tests.domain.watch.mailing import MailServer, add_contact, add_operator, end_run, morning

pytestmark = pytest.mark.anyio

NIGHT = datetime(2026, 10, 1, 7, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
CONTACT = "data@alpha.example"
OPERATOR = "op@homerow.example"
BOTH = [
    (CONTACT, "alpha: the last successful sync is too long ago"),
    (OPERATOR, "Homerow: 1 tenant without a sync in time"),
]


@pytest.fixture(autouse=True)
async def live(story: Story, server: MailServer) -> None:
    """Synced last at NIGHT."""
    await add_contact(story, CONTACT, "ONLY_PROBLEMS")
    await add_operator(story.see)
    await add_operator(story.see, "support@homerow.example", role="SUPPORT")
    await add_operator(story.see, "gone@homerow.example", disabled_at=NIGHT)
    await story.see.execute("UPDATE integrations SET rostered_at = $1", NIGHT)
    # As if it had been connected long ago.
    await story.see.execute("UPDATE sync_schedules SET first_on = '2026-01-01'")
    await story.see.execute("UPDATE sync_standings SET watched_from = NULL")
    await end_run(story, at=NIGHT)
    assert await morning(story, server, NIGHT) == []


async def another(story: Story, slug: str) -> Story:
    other = replace(story, tenant_id=new_id())
    await other.begin(slug)
    return other


async def test_it_is_told_once_until_it_is_well_again(story: Story, server: MailServer) -> None:
    assert await morning(story, server, NIGHT + DAY + ALLOWANCE) == []
    late = NIGHT + DAY + ALLOWANCE + SECOND
    assert await morning(story, server, late) == BOTH
    assert await morning(story, server, late + DAY) == []
    await end_run(story, at=late + DAY)
    assert await morning(story, server, late + DAY) == [
        (CONTACT, "alpha: syncing works again, 0 changes")
    ]
    assert await morning(story, server, late + 3 * DAY) == BOTH


async def test_every_few_days_is_a_promise_of_so_many(story: Story, server: MailServer) -> None:
    await story.see.execute("UPDATE sync_schedules SET every_days = 3")
    assert await morning(story, server, NIGHT + 3 * DAY + ALLOWANCE) == []
    assert await morning(story, server, NIGHT + 3 * DAY + ALLOWANCE + SECOND) == BOTH


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tenants SET status = 'PAUSED'",
        "UPDATE integrations SET status = 'PAUSED'",
        "UPDATE subscriptions SET go_live_on = '2026-10-05'",
        "UPDATE integrations SET rostered_at = NULL",
        "DELETE FROM sync_schedules",
    ],
)
async def test_who_is_promised_nothing_is_not_late(
    story: Story, server: MailServer, change: str
) -> None:
    await story.see.execute(change)
    assert await morning(story, server, NIGHT + 3 * DAY) == []


async def test_a_blackout_puts_the_promise_off_until_it_is_over(
    story: Story, server: MailServer
) -> None:
    await story.see.execute("UPDATE sync_schedules SET time_zone = 'UTC'")
    await story.see.execute(
        "INSERT INTO sync_blackouts (tenant_id, integration_id, starts_on, ends_on, reason)"
        " SELECT tenant_id, id, '2026-10-02', '2026-10-20', '' FROM integrations"
    )
    over = datetime(2026, 10, 21, tzinfo=UTC)
    for moment in (NIGHT + 5 * DAY, over, over + DAY + ALLOWANCE):
        assert [mail for mail in await morning(story, server, moment) if mail in BOTH] == []
    assert await morning(story, server, over + DAY + ALLOWANCE + SECOND) == BOTH


async def test_who_went_live_without_a_sync_is_late(story: Story, server: MailServer) -> None:
    await story.see.execute("UPDATE subscriptions SET go_live_on = '2026-10-05'")
    await story.see.execute("UPDATE sync_standings SET last_success_at = NULL")
    assert await morning(story, server, datetime(2026, 10, 6, 1, tzinfo=UTC)) == []
    assert await morning(story, server, datetime(2026, 10, 6, 3, tzinfo=UTC)) == BOTH


async def test_a_tenant_in_quarantine_is_late_too(story: Story, server: MailServer) -> None:
    for hour in range(4):
        await end_run(story, "FAILED", "FILE_MISSING", at=NIGHT + timedelta(hours=hour + 1))
    await end_run(story, "HELD", at=NIGHT + DAY, holds=["HOLD_DELETES"])
    await morning(story, server, NIGHT + DAY)
    assert await morning(story, server, NIGHT + DAY + ALLOWANCE + SECOND) == BOTH


async def test_what_was_resumed_has_its_time(story: Story, server: MailServer) -> None:
    await story.see.execute("UPDATE sync_standings SET watched_from = $1", NIGHT + 5 * DAY)
    assert await morning(story, server, NIGHT + 6 * DAY) == []
    assert await morning(story, server, NIGHT + 7 * DAY) == BOTH


async def test_a_promise_that_is_new_was_not_broken_before(
    story: Story, server: MailServer
) -> None:
    """Every day from now on, instead of every 29 days."""
    await story.see.execute("UPDATE sync_schedules SET every_days = 29")
    now = NIGHT + 10 * DAY
    async with story.api.transaction(story.tenant_id) as session:
        await set_schedule(
            session,
            tenant_id=story.tenant_id,
            setting=ScheduleSetting(every_days=1),
            caller=COMMAND_LINE,
            now=now,
        )
    assert await morning(story, server, now + DAY + ALLOWANCE) == []
    assert await morning(story, server, now + DAY + ALLOWANCE + SECOND) == BOTH


async def test_nobody_is_late_before_the_schedule_begins(story: Story, server: MailServer) -> None:
    await story.see.execute("UPDATE sync_schedules SET first_on = '2026-10-11', time_zone = 'UTC'")
    begins = datetime(2026, 10, 11, tzinfo=UTC)
    assert await morning(story, server, begins + DAY + ALLOWANCE) == []
    assert await morning(story, server, begins + DAY + ALLOWANCE + SECOND) == BOTH


async def test_a_tenant_that_is_live_already_has_its_time_when_it_is_connected(
    story: Story, server: MailServer
) -> None:
    """Also where it is paused and resumed before any run."""
    new = await another(story, "new")
    await new.see.execute("UPDATE subscriptions SET go_live_on = '2026-01-01'")
    now = utc_now()
    await morning(new, server, now + DAY)
    async with new.api.transaction(new.tenant_id) as session:
        await pause(session, tenant_id=new.tenant_id, caller=COMMAND_LINE)
        await resume(session, tenant_id=new.tenant_id, caller=COMMAND_LINE, now=now + 5 * DAY)
    await morning(new, server, now + 6 * DAY)
    found = await new.see.fetchval(
        "SELECT late_told_at FROM sync_standings WHERE tenant_id = $1", new.tenant_id
    )
    assert found is None


async def test_who_becomes_late_within_an_hour_is_told_together(
    story: Story, server: MailServer
) -> None:
    others = [await another(story, slug) for slug in ("beta", "gamma")]
    late = NIGHT + DAY + ALLOWANCE
    for minutes, other in zip((1, 2), others, strict=True):
        await story.see.execute(
            "UPDATE sync_standings SET watched_from = NULL, last_success_at = $2"
            " WHERE tenant_id = $1",
            other.tenant_id,
            NIGHT + timedelta(minutes=minutes),
        )
    await story.see.execute(
        "UPDATE sync_schedules SET first_on = '2026-01-01'; UPDATE integrations"
        " SET rostered_at = '2026-10-01'"
    )
    assert await morning(story, server, late + SECOND) == BOTH
    assert await morning(story, server, late + timedelta(minutes=59)) == []
    together = await morning(story, server, late + timedelta(minutes=61))
    assert together == [(OPERATOR, "Homerow: 2 tenants without a sync in time")]


async def test_postgres_knows_every_time_zone_that_may_be_set(story: Story) -> None:
    rows = await story.see.fetch("SELECT name FROM pg_timezone_names")
    assert time_zones() - {row["name"] for row in rows} == set()
