"""Undoing a run in a test, and telling whether everything is as it was before."""

import json
from typing import Any
from uuid import UUID

import pytest

from domain.clock import utc_now
from domain.errors import Conflict
from domain.people.callers import Caller
from domain.sync.models import SyncRun
from domain.sync.reverting import revert_run
from domain.sync.run import work
from tests.domain.sync.stories import Story
from tests.sources import open_source

ADMINISTRATOR = Caller(actor="token of Ada", name="Ada")
WATCHED = (
    "schools",
    "terms",
    "courses",
    "groups",
    "users",
    "school_affiliations",
    "memberships",
    "membership_spans",
    "training_settings",
    "progress",
    "external_keys",
    "match_candidates",
)
Dump = dict[str, dict[str, dict[str, Any]]]
# Who was brought back and is archived again was so by another run, and at another time.
ARCHIVED = ("archived_at", "archived_by_run_id")


async def request_revert(story: Story, run_id: UUID) -> SyncRun:
    async with story.api.transaction(story.tenant_id) as session:
        return await revert_run(
            session, tenant_id=story.tenant_id, run_id=run_id, caller=ADMINISTRATOR, now=utc_now()
        )


async def revert(story: Story, run: SyncRun) -> SyncRun:
    requested = await request_revert(story, run.id)
    assert await work(story.worker, open_source, story.keys) == requested.id
    return await story.read_run(requested.id)


async def dump(story: Story) -> Dump:
    """Every row of the tenant's, as it is, by what it is known by."""
    rows = {}
    for table in WATCHED:
        found = await story.see.fetch(
            f"SELECT to_jsonb(r) AS row FROM {table} r WHERE tenant_id = $1",  # noqa: S608 - our own table
            story.tenant_id,
        )
        values = [json.loads(row["row"]) for row in found]
        rows[table] = {
            str(value.get("id") or sorted((k, v) for k, v in value.items() if k != "position")): (
                value
            )
            for value in values
        }
    return rows


async def require_as_before(story: Story, before: Dump, run: SyncRun, reverted: SyncRun) -> None:
    """Every row is as it was; what the run has made is archived, and otherwise left out."""
    after = await dump(story)
    made = {
        key
        for rows in after.values()
        for key, row in rows.items()
        if row.get("created_by_run_id") == str(run.id)
    }
    for key, row in ((key, row) for rows in after.values() for key, row in rows.items()):
        assert key not in made or row["archived_by_run_id"] == str(reverted.id)
    for table, rows in after.items():
        left = {
            key: row
            for key, row in rows.items()
            if not made & {key, row.get("user_id"), row.get("membership_id")}
        }
        assert left.keys() == before[table].keys(), table
        for key, row in left.items():
            former = before[table][key]
            if former.get("archived_at") and row["archived_by_run_id"] == str(reverted.id):
                former = {**former, **{name: row[name] for name in ARCHIVED}}
            assert row == former, table


async def require_refused(story: Story, run_id: UUID, message: str) -> None:
    """With nothing changed, and no run that waits."""
    before = await dump(story)
    with pytest.raises(Conflict, match=message):
        await request_revert(story, run_id)
    assert await dump(story) == before
    reverts = "SELECT count(*) FROM sync_runs WHERE mode = 'REVERT' AND state = 'QUEUED'"
    assert await story.see.fetchval(reverts) == 0
