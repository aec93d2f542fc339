"""From a night to the mails that contacts find in the morning, by a real mail server."""

import asyncio
import re
from datetime import datetime
from email.message import EmailMessage
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from api.graphql.node import encode_id
from domain.clock import utc_now
from domain.notifications.delivery import deliver
from domain.sync.models import SyncMode, SyncRunState
from domain.tenants.service import DEFAULT_TIME_ZONE
from domain.watch.pauses import tell_of_pauses
from domain.watch.undelivered import Outbox, count_mails
from tests.domain.sync.stories import Story
from tests.domain.watch.mailing import (
    LINKS,
    MailServer,
    add_contact,
    add_operator,
    end_run,
    local,
    look,
    morning,
    new_tenant,
)

pytestmark = pytest.mark.anyio

ALWAYS, PROBLEMS, NEVER = "all@alpha.example", "some@alpha.example", "none@alpha.example"


@pytest.fixture(autouse=True)
async def contacts(story: Story) -> None:
    await add_contact(story, ALWAYS, "ALWAYS")
    await add_contact(story, PROBLEMS, "ONLY_PROBLEMS")
    await add_contact(story, NEVER, "NEVER")


async def test_a_night_is_told_once_to_whoever_wants_to_know(
    story: Story, server: MailServer
) -> None:
    run = await story.night()
    await look(story)
    await deliver(story.worker, server.post)
    [mail] = server.mails
    plain, html = bodies(mail)
    run_id = encode_id("R", story.tenant_id, run.id)
    for body in (plain, html):
        assert "15 records changed." in body
        assert f"https://admin.example/alpha/runs/{run_id}" in body
    assert mail["From"] == "Homerow <night@homerow.example>"
    assert server.taken() == [(ALWAYS, "alpha: synced, 15 changes")]
    assert await morning(story, server) == []
    await story.night()
    assert await morning(story, server) == [(ALWAYS, "alpha: synced, 0 changes")]


async def test_only_full_and_delta_runs_are_told(story: Story, server: MailServer) -> None:
    story.district.write(story.folder)
    await story.run(SyncMode.PREFLIGHT)
    assert await morning(story, server) == []


async def test_new_errors_are_told_to_whoever_wants_problems_and_known_ones_are_not(
    story: Story, server: MailServer
) -> None:
    await story.night()
    await morning(story, server)
    story.district.users.change("cid", givenName="", familyName=" ")
    assert (await story.night()).state.value == "SUCCEEDED_WITH_ERRORS"
    subject = "alpha: synced, 0 changes, 1 open error"
    assert await morning(story, server) == [(ALWAYS, subject), (PROBLEMS, subject)]
    await story.night()
    assert await morning(story, server) == [(ALWAYS, "alpha: synced, 0 changes, 1 open error")]


async def test_two_lookers_and_two_deliverers_send_no_mail_twice(
    story: Story, server: MailServer
) -> None:
    for _ in range(3):
        await story.night()
    await asyncio.gather(*(look(story) for _ in range(3)))
    await asyncio.gather(*(deliver(story.worker, server.post) for _ in range(3)))
    assert len(server.taken()) == 3


async def test_no_name_of_the_roster_is_in_any_mail(story: Story, server: MailServer) -> None:
    """Of a night with errors, warnings and a hold, whatever ids and names the district has."""
    for number in range(40):
        story.district.user(
            f"zz{number}", f"qxuser{number}", givenName=f"Qxgiven{number}", familyName="Qxfamily"
        )
        story.district.enroll(f"y{number}", f"zz{number}", "g1")
    await story.night()
    for number in range(30):
        story.district.users.take(f"zz{number}")
        story.district.enrollments.take(f"y{number}")
    story.district.user("zz99", "qxuser99")
    story.district.users.change("zz35", username="")
    story.district.users.change("zz36", givenName="", familyName="")
    assert (await story.night()).state is SyncRunState.SUCCEEDED_WITH_HOLD
    await end_run(story, "FAILED", "CONN_AUTH_REJECTED", at=utc_now())
    await look(story)
    await deliver(story.worker, server.post)
    subjects = sorted({mail["Subject"].strip() for mail in server.mails})
    assert [subject.partition(":")[2][:17] for subject in subjects] == [
        " a sync waits for",
        " synced, 95 chang",
        " the sync failed,",
    ]
    # The letters of a run's own id come by chance.
    run_ids = [
        encode_id("R", story.tenant_id, row["id"])
        for row in await story.see.fetch("SELECT id FROM sync_runs")
    ]
    for mail in server.mails:
        for body in bodies(mail):
            [run_id] = [one for one in run_ids if one in body]
            told = body.replace(run_id, "")
            assert not re.search(r"qx|zz[0-9]|\b(ann|cid|dee|bob)\b", told, re.IGNORECASE)


async def test_a_server_that_is_down_holds_up_no_run_and_gets_each_mail_once(
    story: Story, server: MailServer
) -> None:
    server.refuses = True
    for _ in range(2):
        assert (await story.night()).state is SyncRunState.SUCCEEDED
        assert await morning(story, server) == []
    waiting = "SELECT count(*) FROM mail_outbox WHERE sent_at IS NULL AND attempts = 1"
    assert await story.see.fetchval(waiting) == 2
    server.refuses = False
    await story.see.execute("UPDATE mail_outbox SET due_at = now()")
    await asyncio.gather(*(deliver(story.worker, server.post) for _ in range(2)))
    assert server.taken() == [
        (ALWAYS, "alpha: synced, 0 changes"),
        (ALWAYS, "alpha: synced, 15 changes"),
    ]
    assert await morning(story, server) == []


async def test_what_nobody_takes_for_days_is_given_up_and_said(
    story: Story, server: MailServer
) -> None:
    await add_operator(story.see)
    await story.night()
    await look(story)
    await story.see.execute("UPDATE mail_outbox SET attempts = 12")
    with capture_logs() as logs:
        mails = await morning(story, server)
    assert mails == [("op@homerow.example", "Homerow: 1 mail could not be delivered")]
    assert [log["kind"] for log in logs if log["event"] == "mail_given_up"] == ["SUMMARY"]
    row = await story.see.fetchrow("SELECT * FROM mail_outbox WHERE kind = 'SUMMARY'")
    assert (row["sent_at"], row["body_text"], row["body_html"]) == (None, "", "")
    async with story.api.read() as session:
        assert await count_mails(session) == Outbox(0, 0, None, 1)
    await story.see.execute("UPDATE mail_outbox SET sent_at = NULL, attempts = 12")
    await story.see.execute("UPDATE mail_outbox SET given_up_at = NULL, kind = 'UNDELIVERED'")
    assert await morning(story, server) == []


async def test_a_daily_mail_has_the_days_runs(story: Story, server: MailServer) -> None:
    await story.see.execute("DELETE FROM contacts")
    await add_contact(story, ALWAYS, "ALWAYS", "DAILY")
    await add_contact(story, PROBLEMS, "ONLY_PROBLEMS", "DAILY")
    await add_contact(story, NEVER, "NEVER", "DAILY")
    await story.see.execute("UPDATE tenants SET time_zone = 'America/Chicago'")
    assert await morning(story, server, local(1, "12:00")) == []
    await end_run(story, at=local(2, "02:00"))
    assert await morning(story, server, local(2, "06:59")) == []
    first = "alpha: 1 sync until Monday 2 March 2026, 0 changes, 0 failed"
    assert await morning(story, server, local(2, "07:00")) == [(ALWAYS, first)]
    for hour in ("02:00", "03:00"):
        await end_run(story, "FAILED", "CONN_AUTH_REJECTED", at=local(3, hour))
    await end_run(story, at=local(3, "05:00"))
    await look(story, local(3, "05:01"))
    both = "alpha: 2 syncs until Tuesday 3 March 2026, 0 changes, 1 failed"
    now = local(3, "09:00")
    await asyncio.gather(look(story, now), look(story, now))
    assert await morning(story, server, now) == [(ALWAYS, both), (PROBLEMS, both)]
    assert await morning(story, server, local(4, "08:00")) == []


async def test_licences_are_told_once_for_each_crossing(story: Story, server: MailServer) -> None:
    await story.night()
    await look(story)
    await deliver(story.worker, server.post)
    server.mails.clear()
    mails = []
    for limit in (4, 3, 3, 4, 3):
        await story.see.execute("UPDATE subscriptions SET licence_limit = $1", limit)
        await end_run(story, at=utc_now())
        mails.append([subject for to, subject in await morning(story, server) if to == PROBLEMS])
    full = ["alpha: licences are used up, 3 of 3"]
    assert mails == [[], full, [], [], full]


async def test_a_blackout_is_told_once_the_morning_before(story: Story, server: MailServer) -> None:
    await story.see.execute(
        "INSERT INTO sync_blackouts (tenant_id, integration_id, starts_on, ends_on, reason)"
        " SELECT tenant_id, id, '2026-12-21', '2027-01-01', 'Winter <break>' FROM integrations"
    )
    zone = ZoneInfo(DEFAULT_TIME_ZONE)
    told = [
        await tell_of_pauses(story.worker, links=LINKS, now=datetime(2026, 12, *at, tzinfo=zone))
        for at in ((20, 6, 59), (20, 7, 0), (20, 7, 1), (20, 12, 0))
    ]
    assert told == [0, 1, 0, 0]
    await deliver(story.worker, server.post)
    assert "Winter &lt;break&gt;" in bodies(server.mails[0])[1]
    subject = "alpha: no syncs from Monday 21 December 2026"
    assert server.taken() == [(ALWAYS, subject), (PROBLEMS, subject)]


async def test_a_closed_tenant_is_written_to_no_more(story: Story, server: MailServer) -> None:
    await story.night()
    await story.see.execute("UPDATE tenants SET status = 'CLOSED'")
    assert await morning(story, server) == []
    await story.see.execute("UPDATE tenants SET status = 'ACTIVE'")
    assert await morning(story, server) == []


async def test_one_tenants_trouble_is_not_the_others(story: Story, server: MailServer) -> None:
    other = await new_tenant(story, "beta", "ONEROSTER_CSV")
    await add_contact(other, "data@beta.example", "ALWAYS")
    await end_run(story, "FAILED", "NO_SUCH_CODE", at=utc_now())
    await end_run(other, at=utc_now())
    with capture_logs() as logs:
        assert await morning(story, server) == [("data@beta.example", "beta: synced, 0 changes")]
    assert [log["error"] for log in logs if log["event"] == "run_not_told"] == ["ValueError"]


def bodies(mail: EmailMessage) -> tuple[str, str]:
    plain, html = (part.get_content() for part in mail.iter_parts())
    return plain, html
