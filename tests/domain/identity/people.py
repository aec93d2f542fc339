"""What tests of people who are one or two need: doing it, and everything that is stored of them."""

from typing import Any
from uuid import UUID

import asyncpg

from domain.identity.merging import merge_people
from domain.identity.unlinking import unlink_person
from domain.identity.unmerging import undo_merge
from domain.people.callers import COMMAND_LINE
from tests.api.graphql.seed import add_group, add_membership, insert
from tests.domain.sync.stories import Story

NOTHING = {"created": 0, "updated": 0, "archived": 0, "restored": 0}
_EVERYTHING = {
    table: f"SELECT (to_jsonb(t) - '{{version,updated_at}}'::text[])::text FROM {table} t"  # noqa: S608 - our own
    " WHERE tenant_id = $1"
    for table in (
        "users",
        "school_affiliations",
        "memberships",
        "membership_spans",
        "external_keys",
        "progress",
        "training_settings",
        "default_places",
        "eligibility_overrides",
    )
}


async def everything(story: Story) -> dict[str, list[str]]:
    """Every row of every table about people, but not how often and when settings were written."""
    return {
        table: sorted(row[0] for row in await story.see.fetch(sql, story.tenant_id))
        for table, sql in _EVERYTHING.items()
    }


async def merge(story: Story, kept: UUID, merged: UUID) -> UUID:
    asked = {"kept_id": str(kept), "merged_id": str(merged)}
    async with story.worker.transaction(story.tenant_id) as session:
        result = await merge_people(session, story.tenant_id, asked, COMMAND_LINE)
    return UUID(result["merge_id"])


async def undo(story: Story, merge_id: UUID) -> None:
    asked = {"merge_id": str(merge_id)}
    async with story.worker.transaction(story.tenant_id) as session:
        await undo_merge(session, story.tenant_id, asked, COMMAND_LINE)


async def unlink(story: Story, user_id: UUID) -> dict[str, Any]:
    asked = {"user_id": str(user_id)}
    async with story.worker.transaction(story.tenant_id) as session:
        return await unlink_person(session, story.tenant_id, asked, COMMAND_LINE)


async def earn(story: Story, user_id: UUID, group_id: UUID, **values: Any) -> None:
    """Progress as the training application records it: on top of what is there."""
    blank = {"school_year": 2026, "lessons": 0, "seconds": 0}
    given = blank | {"best_speed": None, "last_active_at": None} | values
    await story.see.execute(
        "INSERT INTO progress AS p (tenant_id, user_id, group_id, school_year, lessons, seconds,"
        " best_speed, last_active_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        " ON CONFLICT (tenant_id, user_id, group_id, school_year) DO UPDATE SET"
        " lessons = p.lessons + excluded.lessons, seconds = p.seconds + excluded.seconds,"
        " best_speed = greatest(p.best_speed, excluded.best_speed),"
        " last_active_at = greatest(p.last_active_at, excluded.last_active_at)",
        story.tenant_id,
        user_id,
        group_id,
        *given.values(),
    )


async def progress(story: Story, user_id: UUID) -> dict[UUID, tuple[Any, ...]]:
    rows = await story.see.fetch(
        "SELECT group_id, lessons, seconds, best_speed, last_active_at FROM progress"
        " WHERE tenant_id = $1 AND user_id = $2",
        story.tenant_id,
        user_id,
    )
    return {row[0]: tuple(row)[1:] for row in rows}


async def settings(story: Story, user_id: UUID) -> dict[str, Any]:
    """Those that have a value."""
    row = await story.see.fetchrow(
        "SELECT speed_target, accuracy_target, keyboard_layout, has_avatars, age_group"
        " FROM training_settings WHERE tenant_id = $1 AND user_id = $2",
        story.tenant_id,
        user_id,
    )
    return {name: value for name, value in (row or {}).items() if value is not None}


async def person(see: asyncpg.Connection, user_id: UUID) -> asyncpg.Record:
    return await see.fetchrow("SELECT * FROM users WHERE id = $1", user_id)


async def memberships(see: asyncpg.Connection, user_id: UUID) -> set[tuple[str, str, bool]]:
    """Each as (group, role, whether it is live)."""
    rows = await see.fetch(
        "SELECT coalesce(g.source_id, g.name), m.role, m.archived_at IS NULL FROM memberships m"
        " JOIN groups g ON g.id = m.group_id WHERE m.user_id = $1",
        user_id,
    )
    return {(row[0], row[1], row[2]) for row in rows}


async def add_legacy_person(story: Story, username: str, **values: Any) -> UUID:
    given = {
        "given_name": username.title(),
        "family_name": "Before",
        "origin": "LEGACY",
        "roles": ["STUDENT"],
        "grades": ["9"],
        "is_enabled": True,
    }
    return await insert(
        story.see, "users", tenant_id=story.tenant_id, username=username, **given | values
    )


async def add_club(story: Story, user_id: UUID) -> UUID:
    """A group that no sync touches, and the person's membership in it."""
    school_id = (await story.ids("schools"))["s1"]
    group_id = await add_group(story.see, story.tenant_id, school_id, origin="IMPORT", name="Club")
    await add_membership(story.see, story.tenant_id, user_id, group_id, origin="IMPORT")
    return group_id
