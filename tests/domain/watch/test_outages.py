"""A provider that is out is nobody's fault: operators hear of it once, contacts do not."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.watch.outages import is_out
from tests.domain.sync.stories import Story
from tests.domain.watch.mailing import (
    MailServer,
    add_contact,
    add_operator,
    end_run,
    morning,
    new_tenant,
    next_due_at,
)

pytestmark = pytest.mark.anyio

NIGHT = datetime(2026, 10, 1, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
OPERATOR = "op@homerow.example"


@pytest.mark.parametrize(
    ("was_out", "ran", "failing", "expected"),
    [
        (False, 4, 4, False),
        (False, 5, 5, True),
        (False, 10, 5, True),
        (False, 11, 5, False),
        (False, 0, 0, False),
        (True, 0, 0, True),
        (True, 2, 1, True),
        (True, 3, 1, True),
        (True, 4, 1, False),
    ],
)
def test_an_outage_is_many_at_once(was_out: bool, ran: int, failing: int, expected: bool) -> None:
    assert is_out(was_out=was_out, ran=ran, failing=failing) is expected


async def tenants_of(story: Story, count: int, provider: str = "CLEVER") -> list[Story]:
    found = [await new_tenant(story, f"tenant-{number}", provider) for number in range(count)]
    for one in found:
        await add_contact(one, f"{one.tenant_id}@example.org", "ALWAYS")
    return found


async def test_an_outage_is_told_to_operators_once_and_to_nobody_else(
    story: Story, server: MailServer
) -> None:
    await add_operator(story.see)
    tenants = await tenants_of(story, 6)
    await story.see.execute("UPDATE sync_schedules SET first_on = '2026-01-01'")
    for tenant in tenants[1:]:
        await end_run(tenant, "FAILED", "CONN_UNREACHABLE", at=NIGHT)
    await end_run(tenants[0], "FAILED", "CONN_AUTH_REJECTED", at=NIGHT)
    mine = (
        f"{tenants[0].tenant_id}@example.org",
        "tenant-0: the sync failed, the provider refused the key, secret or token",
    )
    begun = (OPERATOR, "Homerow: CLEVER seems to be out, 5 tenants affected")
    assert await morning(story, server, NIGHT) == sorted([mine, begun])
    for hour in (1, 2, 3):
        now = NIGHT + hour * HOUR
        for tenant in tenants[1:]:
            assert await next_due_at(tenant) == now
            await end_run(tenant, "FAILED", "CONN_UNREACHABLE", at=now)
        assert await morning(story, server, now) == []
    steps = await story.see.fetch("SELECT failures FROM sync_standings ORDER BY failures")
    assert [row["failures"] for row in steps] == [0, 0, 0, 0, 0, 0, 1]
    now = NIGHT + 4 * HOUR
    for tenant in tenants[1:]:
        await end_run(tenant, at=now)
    mails = await morning(story, server, now)
    over = (OPERATOR, "Homerow: CLEVER works again")
    synced = [
        (f"{one.tenant_id}@example.org", f"tenant-{number}: synced, 0 changes")
        for number, one in enumerate(tenants)
        if number
    ]
    assert mails == sorted([over, *synced])
    row = await story.see.fetchrow("SELECT * FROM provider_outages")
    assert (row["began_at"], row["ended_at"], row["tenants"]) == (NIGHT, now, 5)


async def test_servers_of_districts_own_are_no_provider(story: Story, server: MailServer) -> None:
    await add_operator(story.see)
    for tenant in await tenants_of(story, 6, "ONEROSTER"):
        await end_run(tenant, "FAILED", "CONN_UNREACHABLE", at=NIGHT)
    assert await morning(story, server, NIGHT) == []
    assert await story.see.fetchval("SELECT count(*) FROM provider_outages") == 0
