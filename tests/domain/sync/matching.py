"""What tests of matching need: a feed pulled or approved, matches listed and decided."""

from typing import Any
from uuid import UUID

from domain.clock import utc_now
from domain.people.callers import COMMAND_LINE
from domain.sync.holds import approve_run
from domain.sync.matches import Decision, MatchDecision, resolve_match
from domain.sync.models import SyncMode, SyncRun
from domain.sync.run import work
from tests.domain.sync.feeds import Feed
from tests.domain.sync.stories import Story

NOTHING = {"created": 0, "updated": 0, "archived": 0, "restored": 0}


async def pull(story: Story, feed: Feed, mode: SyncMode = SyncMode.FULL) -> SyncRun:
    return await story.run(mode, opener=feed.open)


async def approve(story: Story, run: SyncRun, feed: Feed) -> SyncRun:
    """Let what a run has shown happen: the run that does it, with the same feed."""
    async with story.api.transaction(story.tenant_id) as session:
        requested = await approve_run(
            session,
            tenant_id=story.tenant_id,
            run_id=run.id,
            caller=COMMAND_LINE,
            now=utc_now(),
        )
    assert await work(story.worker, feed.open, story.keys) == requested.run.id
    return await story.read_run(requested.run.id)


async def take_over(story: Story, feed: Feed) -> SyncRun:
    """A first sync: held, looked at and approved."""
    return await approve(story, await pull(story, feed), feed)


async def people(story: Story) -> dict[str, UUID]:
    """Our id by the provider's, or by the username of who is not the provider's."""
    rows = await story.see.fetch(
        "SELECT coalesce(source_id, username) AS name, id FROM users WHERE tenant_id = $1",
        story.tenant_id,
    )
    return {row["name"]: row["id"] for row in rows}


async def candidates(story: Story) -> list[tuple[Any, ...]]:
    names = {str(user_id): name for name, user_id in (await people(story)).items()}
    rows = await story.see.fetch(
        "SELECT source_id, candidate_ids, reason, resolution, resolved_at IS NOT NULL"
        " FROM match_candidates WHERE tenant_id = $1 ORDER BY source_id",
        story.tenant_id,
    )
    return [(row[0], sorted(names[one] for one in row[1]), *row[2:]) for row in rows]


async def decide(
    story: Story, resolution: MatchDecision, chosen: str | None = None, *, of: str = "ann2"
) -> None:
    user_id = (await people(story))[chosen] if chosen else None
    named = "SELECT id FROM match_candidates WHERE tenant_id = $1 AND source_id = $2"
    match_id = await story.see.fetchval(named, story.tenant_id, of)
    async with story.api.transaction(story.tenant_id) as session:
        await resolve_match(
            session,
            tenant_id=story.tenant_id,
            match_id=match_id,
            decision=Decision(resolution, user_id),
            caller=COMMAND_LINE,
            now=utc_now(),
        )


async def links(story: Story) -> list[tuple[Any, ...]]:
    """(record type, source id, former source id, former origin, reason) of what was linked."""
    rows = await story.see.fetch(
        "SELECT record_type, source_id, former_source_id, former_origin, reason"
        " FROM identity_links WHERE tenant_id = $1 ORDER BY record_type, source_id",
        story.tenant_id,
    )
    return [tuple(row) for row in rows]


async def former_ids(story: Story) -> list[tuple[Any, ...]]:
    rows = await story.see.fetch(
        "SELECT record_id, kind, value FROM external_keys WHERE tenant_id = $1", story.tenant_id
    )
    return [tuple(row) for row in rows]
