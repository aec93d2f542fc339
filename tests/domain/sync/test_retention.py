"""What is dropped with time: the changes of whole months, and tickets that nobody can use."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from domain.clock import utc_now
from domain.resources import Resources
from domain.settings import Settings, read_settings
from domain.sync.retention import KEPT, drop_what_is_old
from tests.api.graphql.seed import insert
from tests.domain.sync.stories import Story
from worker.main import create_worker
from worker.tasks import WorkerContext, clean

pytestmark = pytest.mark.anyio


async def kept_changes(story: Story) -> int:
    return int(await story.see.fetchval("SELECT count(*) FROM sync_changes"))


async def two_nights(story: Story) -> None:
    await story.night()
    story.district.users.change("ann", givenName="Anna")
    await story.night()
    assert await kept_changes(story) == 1


async def test_changes_go_with_their_whole_month_and_not_before(story: Story) -> None:
    await two_nights(story)
    now = utc_now()
    assert await drop_what_is_old(story.worker, now=now) == 0
    first_of_next = (now.replace(day=1) + timedelta(days=32)).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    just_before = first_of_next + KEPT - timedelta(seconds=1)
    assert await drop_what_is_old(story.worker, now=just_before) == 0
    assert await kept_changes(story) == 1
    assert await drop_what_is_old(story.worker, now=first_of_next + KEPT) == 1
    assert await kept_changes(story) == 0
    story.district.users.change("ann", givenName="Ann")
    await story.night()
    assert await kept_changes(story) == 1


async def test_the_worker_drops_what_is_older_than_its_settings_say(
    story: Story, worker_resources: Resources
) -> None:
    await two_nights(story)
    await clean({"homerow": WorkerContext(worker_resources)})
    assert await kept_changes(story) == 1
    await clean({"homerow": WorkerContext(worker_resources, kept=timedelta(days=-99))})
    assert await kept_changes(story) == 0
    worker = create_worker(WorkerContext(worker_resources, kept=timedelta(days=3)))
    assert WorkerContext.of(worker.ctx).kept == timedelta(days=3)


async def test_tickets_go_when_nobody_can_use_them_any_more(story: Story) -> None:
    now = utc_now()
    for name, minutes in (("old", -1), ("new", 1)):
        ticket = {
            "tenant_id": story.tenant_id,
            "token_hash": name.encode(),
            "created_by": "x",
            "expires_at": now + timedelta(minutes=minutes),
        }
        await insert(story.see, "uploads", purpose="LEGACY", **ticket)
        await insert(story.see, "exports", kind="ERRORS", choice={}, **ticket)
    await drop_what_is_old(story.worker, now=now)
    for table in ("uploads", "exports"):
        rows = await story.see.fetch(f"SELECT token_hash FROM {table}")  # noqa: S608 - our own table
        assert (table, [row[0] for row in rows]) == (table, [b"new"])


def test_the_days_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOMEROW_RETENTION_DAYS", raising=False)
    assert timedelta(days=Settings().retention_days) == KEPT
    monkeypatch.setenv("HOMEROW_RETENTION_DAYS", "30")
    assert read_settings().retention_days == 30
    monkeypatch.setenv("HOMEROW_RETENTION_DAYS", "0")
    with pytest.raises(ValidationError):
        read_settings()
