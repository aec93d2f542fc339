"""A year of nights in twelve zones, by a clock that steps from one due instant to the next."""

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import pytest

from domain.integrations.rhythms import GivenBlackout
from domain.integrations.schedule import Rhythm
from domain.integrations.schedules import ScheduleSetting, set_schedule
from domain.people.callers import COMMAND_LINE
from domain.roster.source import Provider
from domain.sync.due import start_due_runs
from tests.domain.integrations.nights import modelled
from tests.domain.sync.conftest import TellStory
from tests.domain.sync.stories import Story

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BEGINS, ENDS = datetime(2026, 2, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)
SUMMER = GivenBlackout(date(2026, 7, 1), date(2026, 8, 9), "summer")
AUTUMN = GivenBlackout(date(2026, 10, 24), date(2026, 10, 26))
TENANTS = [
    ("America/New_York", time(2, 30), 1, [SUMMER]),
    ("Australia/Lord_Howe", time(2, 10), 1, []),
    ("America/Los_Angeles", time(21), 3, [AUTUMN]),
    ("Etc/GMT+5", time(2), 5, []),
    ("Asia/Kathmandu", time(23, 50), 2, [SUMMER, AUTUMN]),
    ("America/St_Johns", time(0, 1), 4, []),
    ("Pacific/Chatham", time(3, 15), 7, [AUTUMN]),
    ("America/Santiago", time(0), 6, []),
    ("Europe/London", time(1, 30), 7, [AUTUMN]),
    ("Africa/Casablanca", time(2, 30), 14, []),
    ("Pacific/Apia", time(2), 29, [SUMMER]),
    ("UTC", time(0), 10, []),
]


async def scheduled(story: Story, number: int) -> Rhythm:
    zone, at, every_days, blackouts = TENANTS[number]
    setting = ScheduleSetting(
        local_time=at,
        time_zone=zone,
        every_days=every_days,
        first_on=date(2026, 1, 20) + timedelta(days=number),
        blackouts=blackouts,
    )
    async with story.api.transaction(story.tenant_id) as session:
        planned = await set_schedule(
            session,
            tenant_id=story.tenant_id,
            setting=setting,
            caller=COMMAND_LINE,
            now=BEGINS,
        )
    return planned.rhythm


async def test_each_due_night_of_a_year_starts_one_run_and_none_in_a_blackout(
    tell: TellStory,
) -> None:
    rhythms: dict[UUID, Rhythm] = {}
    for number in range(len(TENANTS)):
        story = await tell(f"district-{number}")
        await story.connect_to(Provider.ONEROSTER)
        rhythms[story.tenant_id] = await scheduled(story, number)
    now: datetime = await story.see.fetchval("SELECT min(next_due_at) FROM sync_schedules")
    while now < ENDS:
        # Twice, as the ticks of two workers would have it.
        assert await start_due_runs(story.worker, now=now) >= 1
        assert await start_due_runs(story.worker, now=now) == 0
        await story.see.execute(
            "UPDATE sync_runs SET state = 'SUCCEEDED', finished_at = $1 WHERE finished_at IS NULL",
            now,
        )
        now = await story.see.fetchval("SELECT min(next_due_at) FROM sync_schedules")
    found: defaultdict[UUID, list[datetime]] = defaultdict(list)
    for row in await story.see.fetch(
        "SELECT tenant_id, requested_at FROM sync_runs WHERE trigger = 'SCHEDULE' ORDER BY 2"
    ):
        found[row["tenant_id"]].append(row["requested_at"])
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(500)]
    for tenant_id, rhythm in rhythms.items():
        wanted = [night for night in modelled(rhythm, days) if BEGINS < night < ENDS]
        assert found[tenant_id] == wanted, rhythm
        assert not any(rhythm.is_dark(night) for night in found[tenant_id])
    assert sum(len(nights) for nights in found.values()) > 1200
