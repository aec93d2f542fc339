"""The functions that move what was earned: for the worker, and for the tenant that is set."""

from uuid import UUID

import asyncpg
import pytest

from domain.clock import new_id
from domain.database import DatabaseRole
from tests.conftest import dsn
from tests.domain.identity.people import earn, merge, progress
from tests.domain.sync.stories import Story

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
