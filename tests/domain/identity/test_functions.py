"""The functions that move what was earned: for the worker, and for the tenant that is set."""

import asyncio
from uuid import UUID

import asyncpg
import pytest

from domain.clock import new_id
from domain.database import DatabaseRole
from domain.identity.merging import merge_people
from domain.identity.rows import lock_users
from domain.people.callers import COMMAND_LINE
from domain.training.effective import SettingsLevel
from domain.training.settings import Owner, set_settings
from tests.api.graphql.seed import add_group, add_school, add_tenant, add_user
from tests.conftest import dsn
from tests.domain.identity.people import earn, merge, progress, settings
from tests.domain.sync.stories import Story
from tests.worker.processes import until

pytestmark = pytest.mark.anyio

CALLS = (
    ("SELECT merge_training($1, $2)", 2),
    ("SELECT unmerge_training($1, $2)", 2),
    ("SELECT move_progress($1, $2, $3, '{}')", 3),
)


async def connect(url: str, tenant_id: UUID) -> asyncpg.Connection:
    connection = await asyncpg.connect(dsn(url))
    await connection.execute("SELECT set_config('homerow.tenant_id', $1, false)", str(tenant_id))
    return connection


async def test_nothing_of_another_tenant_is_moved(
    story: Story, database_url: dict[str, str]
) -> None:
    users, groups = await story.ids("users"), await story.ids("groups")
    await earn(story, users["ann"], groups["g1"], lessons=5)
    worker = await connect(database_url[DatabaseRole.WORKER], new_id())
    try:
        for call, number in CALLS:
            arguments = [story.tenant_id, *(new_id() for _ in range(number - 1))]
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="another tenant's"):
                await worker.execute(call, *arguments)
    finally:
        await worker.close()
    assert await progress(story, users["ann"]) == {groups["g1"]: (5, 0, None, None)}


async def test_the_api_may_move_nothing(story: Story, database_url: dict[str, str]) -> None:
    api = await connect(database_url[DatabaseRole.API], story.tenant_id)
    try:
        for call, number in CALLS:
            arguments = [story.tenant_id, *(new_id() for _ in range(number - 1))]
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await api.execute(call, *arguments)
    finally:
        await api.close()


async def test_a_merge_moves_what_was_earned_once(
    story: Story, database_url: dict[str, str]
) -> None:
    """Nor is it taken back without the merge: both name a merge that stands."""
    users = await story.ids("users")
    await story.see.execute("UPDATE users SET archived_at = now() WHERE source_id = 'cid'")
    merge_id = await merge(story, users["ann"], users["cid"])
    worker = await connect(database_url[DatabaseRole.WORKER], story.tenant_id)
    try:
        for call, named in ((CALLS[0][0], merge_id), (CALLS[1][0], new_id())):
            with pytest.raises(asyncpg.NoDataFoundError):
                await worker.execute(call, story.tenant_id, named)
    finally:
        await worker.close()


async def test_what_a_merge_remembers_names_nobody_of_another_tenant(
    story: Story, superuser: asyncpg.Connection, database_url: dict[str, str]
) -> None:
    """Whoever can write a merge's undo can write no progress with it but that of its people."""
    users, groups = await story.ids("users"), await story.ids("groups")
    await earn(story, users["cid"], groups["g1"], lessons=5)
    await superuser.execute("UPDATE users SET archived_at = now() WHERE source_id = 'cid'")
    merge_id = await merge(story, users["ann"], users["cid"])
    beta = await add_tenant(superuser, "beta")
    stranger = await add_user(superuser, beta)
    group_id = await add_group(superuser, beta, await add_school(superuser, beta))
    worker = await connect(database_url[DatabaseRole.WORKER], story.tenant_id)
    try:
        for name, value in (("tenant_id", beta), ("user_id", stranger), ("group_id", group_id)):
            await worker.execute(
                "UPDATE people_merges SET undo = jsonb_set(undo, $2, to_jsonb($3::text))"
                " WHERE id = $1",
                merge_id,
                ["progress", "0", "merged", name],
                str(value),
            )
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await worker.execute(CALLS[1][0], story.tenant_id, merge_id)
    finally:
        await worker.close()


async def test_settings_set_beside_a_merge_wait_for_it(story: Story) -> None:
    users = await story.ids("users")
    ann, cid = users["ann"], users["cid"]
    await story.see.execute("UPDATE users SET archived_at = now() WHERE id = $1", cid)
    await story.see.execute(
        "INSERT INTO training_settings (tenant_id, user_id, speed_target) VALUES ($1, $2, 30)",
        story.tenant_id,
        cid,
    )

    async def set_accuracy() -> None:
        async with story.api.transaction(story.tenant_id) as session:
            await set_settings(
                session,
                tenant_id=story.tenant_id,
                owner=Owner(SettingsLevel.USER, ann),
                values={"accuracy_target": 90},
                version=None,
                caller=COMMAND_LINE,
            )

    async def is_waiting() -> bool:
        return bool(
            await story.see.fetchval(
                "SELECT EXISTS (SELECT FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock')"
            )
        )

    async with (
        asyncio.TaskGroup() as group,
        story.worker.transaction(story.tenant_id) as session,
    ):
        await lock_users(session, tenant_id=story.tenant_id, user_ids=[ann, cid])
        group.create_task(set_accuracy())
        await until(is_waiting, "settings wait for the merge")
        asked = {"kept_id": str(ann), "merged_id": str(cid)}
        await merge_people(session, story.tenant_id, asked, COMMAND_LINE)
    assert await settings(story, ann) == {"speed_target": 30, "accuracy_target": 90}


async def test_a_temporary_table_stands_for_no_table_of_ours(
    story: Story, database_url: dict[str, str]
) -> None:
    ann = (await story.ids("users"))["ann"]
    worker = await connect(database_url[DatabaseRole.WORKER], story.tenant_id)
    try:
        await worker.execute(
            "CREATE TEMPORARY TABLE errands"
            " (tenant_id uuid, id uuid, asked jsonb, requested_by text, kind text, state text)"
        )
        await worker.execute(
            "INSERT INTO errands VALUES ($1, $2, '{\"values\": {\"speed_target\": 99}}', 'x',"
            " 'SETTINGS_BULK', 'RUNNING')",
            story.tenant_id,
            ann,
        )
        await worker.execute("GRANT SELECT ON errands TO PUBLIC")
        with pytest.raises(asyncpg.NoDataFoundError):
            await worker.execute(
                "SELECT set_settings_in_bulk($1, $2::uuid, ARRAY[$2::uuid])", story.tenant_id, ann
            )
    finally:
        await worker.close()
    assert await settings(story, ann) == {}
