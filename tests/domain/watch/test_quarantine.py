"""A tenant whose scheduled runs keep failing is tried less often, and told once why."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.integrations.retries import GIVEN_UP_AFTER, next_try
from domain.integrations.standings import Quarantine, begin_anew, list_quarantines
from domain.validation.codes import Code
from tests.domain.sync.stories import Story
from tests.domain.watch.mailing import (
    MailServer,
    add_contact,
    add_operator,
    end_run,
    look,
    morning,
    next_due_at,
)

pytestmark = pytest.mark.anyio

NIGHT = datetime(2026, 10, 1, 7, tzinfo=UTC)
CONTACT = "data@alpha.example"
REFUSED = "alpha: the sync failed, the provider refused the key, secret or token"
AGAIN = "alpha: syncing works again, 0 changes"
OFF = "alpha: syncs are switched off"


async def quarantine(story: Story) -> Quarantine | None:
    integration_id = await story.see.fetchval(
        "SELECT id FROM integrations WHERE tenant_id = $1", story.tenant_id
    )
    async with story.api.read(story.tenant_id) as session:
        found = await list_quarantines(session, story.tenant_id, [integration_id])
    return found.get(integration_id)


def test_the_waits_double_within_a_day_and_then_it_is_tried_daily() -> None:
    tries, now = [], NIGHT
    for failures in range(1, 8):
        following = next_try(
            failures=failures, first_failed_at=NIGHT, now=now, regular=now + timedelta(days=3)
        )
        assert following is not None
        tries.append((following - now) / timedelta(hours=1))
        now = following
    assert tries == [1, 2, 4, 8, 24, 24, 24]


@given(
    st.integers(1, 100),
    st.timedeltas(timedelta(0), timedelta(days=60)),
    st.timedeltas(timedelta(minutes=1), timedelta(days=29)),
)
def test_it_is_never_later_than_the_schedule_or_a_day_and_ends_after_four_weeks(
    failures: int, since: timedelta, until_regular: timedelta
) -> None:
    now = NIGHT + since
    found = next_try(failures=failures, first_failed_at=NIGHT, now=now, regular=now + until_regular)
    if since >= GIVEN_UP_AFTER:
        assert found is None
    else:
        assert found is not None
        assert now < found <= now + min(until_regular, timedelta(days=1))


async def test_the_same_failure_is_told_once_and_recovery_too(
    story: Story, server: MailServer
) -> None:
    await add_contact(story, CONTACT, "ONLY_PROBLEMS")
    mails, now = [], NIGHT
    for _ in range(4):
        await end_run(story, "FAILED", "CONN_AUTH_REJECTED", at=now)
        mails.append(await morning(story, server, now))
        due = await next_due_at(story)
        assert due is not None
        now = due
    assert mails == [[(CONTACT, REFUSED)], [], [], []]
    assert now - NIGHT == timedelta(hours=1 + 2 + 4 + 8)
    found = await quarantine(story)
    assert found == Quarantine(NIGHT, Code.CONN_AUTH_REJECTED, 4, now, is_off=False)
    assert "start a sync: one that succeeds brings the usual schedule back" in found.message
    await end_run(story, at=now, trigger="MANUAL")
    assert await morning(story, server, now) == [(CONTACT, AGAIN)]
    assert await quarantine(story) is None
    due = await next_due_at(story)
    assert due is not None
    assert timedelta(0) < due - now <= timedelta(days=1)
    await end_run(story, "FAILED", "CONN_AUTH_REJECTED", at=now + timedelta(days=1))
    assert await morning(story, server, now + timedelta(days=1)) == [(CONTACT, REFUSED)]


async def test_another_reason_is_told_too_and_the_first_not_again(
    story: Story, server: MailServer
) -> None:
    await add_contact(story, CONTACT, "ALWAYS")
    mails = []
    for hour, code in enumerate(("CONN_AUTH_REJECTED", "CONN_FORBIDDEN_SCOPE") * 2):
        at = NIGHT + timedelta(hours=hour)
        await end_run(story, "FAILED", code, at=at)
        mails += await morning(story, server, at)
    assert mails == [
        (CONTACT, REFUSED),
        (CONTACT, "alpha: the sync failed, the provider refused a collection"),
    ]


async def test_what_may_pass_is_told_when_it_did_not(story: Story, server: MailServer) -> None:
    await add_contact(story, CONTACT, "ALWAYS")
    await end_run(story, "FAILED", "CONN_TIMEOUT", at=NIGHT)
    assert await morning(story, server, NIGHT) == []
    assert await next_due_at(story) == NIGHT + timedelta(hours=1)
    assert await quarantine(story) is None
    later = NIGHT + timedelta(hours=1)
    await end_run(story, "FAILED", "CONN_TIMEOUT", at=later)
    assert await morning(story, server, later) == [
        (CONTACT, "alpha: the sync failed, the provider did not answer in time")
    ]


async def test_a_passing_trouble_that_passed_was_none(story: Story, server: MailServer) -> None:
    await add_contact(story, CONTACT, "ONLY_PROBLEMS")
    await end_run(story, "FAILED", "CONN_TIMEOUT", at=NIGHT)
    await end_run(story, at=NIGHT + timedelta(hours=1))
    assert await morning(story, server, NIGHT + timedelta(hours=1)) == []


async def test_after_four_weeks_it_is_off_and_a_sync_by_hand_leads_out(
    story: Story, server: MailServer
) -> None:
    await add_contact(story, CONTACT, "ONLY_PROBLEMS")
    await add_operator(story.see)
    await end_run(story, "FAILED", "CONN_AUTH_REJECTED", at=NIGHT)
    end = NIGHT + timedelta(days=28)
    await end_run(story, "FAILED", "CONN_AUTH_REJECTED", at=end)
    assert await morning(story, server, end) == [
        (CONTACT, OFF),
        (CONTACT, REFUSED),
        ("op@homerow.example", OFF),
    ]
    assert await next_due_at(story) is None
    found = await quarantine(story)
    assert found is not None
    assert (found.is_off, found.next_try_at) == (True, None)
    await end_run(story, "FAILED", "CONN_AUTH_REJECTED", at=end, trigger="MANUAL")
    assert await morning(story, server, end) == []
    assert await next_due_at(story) is None
    await end_run(story, at=end + timedelta(hours=2), trigger="MANUAL")
    assert await morning(story, server, end + timedelta(hours=2)) == [(CONTACT, AGAIN)]
    assert await next_due_at(story) is not None
    assert await quarantine(story) is None


async def test_a_run_asked_for_by_hand_is_no_step(story: Story, server: MailServer) -> None:
    before = await next_due_at(story)
    for _ in range(3):
        await end_run(story, "FAILED", "CONN_AUTH_REJECTED", at=NIGHT, trigger="MANUAL")
    await look(story, NIGHT)
    assert await next_due_at(story) == before
    assert await quarantine(story) is None


async def test_whoever_resumes_begins_anew(story: Story) -> None:
    for _ in range(2):
        await end_run(story, "FAILED", "CONN_AUTH_REJECTED", at=NIGHT)
    await look(story, NIGHT)
    assert await quarantine(story) is not None
    async with story.api.transaction(story.tenant_id) as session:
        await begin_anew(session, tenant_id=story.tenant_id, now=NIGHT)
    assert await quarantine(story) is None


async def test_a_hold_that_stays_is_told_once_and_its_end_too(
    story: Story, server: MailServer
) -> None:
    await add_contact(story, CONTACT, "ALWAYS")
    mails = []
    for day, holds in enumerate((["HOLD_DELETES"], ["HOLD_DELETES"], ["SCHOOL_VANISHED"], [])):
        at = NIGHT + timedelta(days=day)
        await end_run(story, "HELD" if holds else "SUCCEEDED", at=at, holds=holds)
        mails.append(await morning(story, server, at))
    waits = [(CONTACT, "alpha: a sync waits for your decision")]
    assert mails == [waits, [], waits, [(CONTACT, AGAIN)]]
    told = await story.see.fetch("SELECT told FROM holds ORDER BY created_at")
    assert [row["told"] for row in told] == [[CONTACT]] * 3


async def test_a_delta_does_not_end_what_waits(story: Story, server: MailServer) -> None:
    await add_contact(story, CONTACT, "ONLY_PROBLEMS")
    waits = [(CONTACT, "alpha: a sync waits for your decision")]
    await end_run(story, "SUCCEEDED_WITH_HOLD", at=NIGHT, holds=["HOLD_DELETES"])
    assert await morning(story, server, NIGHT) == waits
    await end_run(story, at=NIGHT, mode="DELTA")
    await end_run(story, "SUCCEEDED_WITH_HOLD", at=NIGHT, holds=["HOLD_DELETES"])
    await end_run(story, "CANCELLED", at=NIGHT)
    assert await morning(story, server, NIGHT) == []
