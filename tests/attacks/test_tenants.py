"""C: ways from one tenant into another."""

import inspect
from typing import Final

import asyncpg
import pytest
from sqlalchemy import text

from domain.clock import new_id
from domain.resources import Resources
from tests.api.graphql.client import World
from tests.api.graphql.roles import add_part
from worker import tasks

pytestmark = pytest.mark.anyio

COUNT: Final = "{ tenants { nodes { slug users { totalCount } } } }"
NOBODY_CHOOSES: Final = ("token_hash", "pk_")
"""Unique among all tenants: hashes of 256 random bits, and ids that the server makes."""


async def test_c4_a_connection_forgets_for_whom_it_was(
    world: World, resources: Resources, superuser: asyncpg.Connection
) -> None:
    await add_part(superuser, world.alpha_id)
    await world.alpha.run(COUNT)
    async with resources.database.engine.connect() as connection:
        told = await connection.scalar(text("SELECT current_setting('homerow.tenant_id', true)"))
        reach = await connection.scalar(text("SELECT current_setting('homerow.reach', true)"))
        assert (told or None, reach or None) == (None, None)
        assert await connection.scalar(text("SELECT count(*) FROM users")) == 0


async def test_c7_nothing_of_a_tenant_has_to_be_unique_among_all(
    superuser: asyncpg.Connection,
) -> None:
    """A name that is refused because another tenant has it would tell that it has."""
    rows = await superuser.fetch(
        "SELECT x.indexrelid::regclass::text AS name FROM pg_index x"
        " JOIN pg_attribute t ON t.attrelid = x.indrelid AND t.attname = 'tenant_id'"
        " JOIN pg_class c ON c.oid = x.indrelid"
        " WHERE x.indisunique AND NOT t.attnum = ANY(x.indkey::int2[])"
        " AND c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"
    )
    chosen = [
        row["name"] for row in rows if not any(each in row["name"] for each in NOBODY_CHOOSES)
    ]
    assert chosen == []


def test_c9_no_job_of_the_queue_names_a_tenant_or_anything_else() -> None:
    """Jobs are calls to look: what is to do, and for whom, the worker reads in the database."""
    for job in (tasks.wake, tasks.check, tasks.errand, tasks.mail, tasks.erase):
        assert list(inspect.signature(job).parameters) == ["ctx"]


async def test_c10_nothing_is_numbered_and_statistics_are_not_shown(
    world: World, resources: Resources, superuser: asyncpg.Connection
) -> None:
    part = await add_part(superuser, world.beta_id)
    await superuser.execute("ANALYZE users, schools, groups, memberships")
    sequences = await superuser.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'S'"
        " AND CASE relkind WHEN 'S'"
        " THEN has_sequence_privilege('homerow_api', oid, 'USAGE, SELECT') END"
    )
    assert sequences == []
    assert {key.version for key in (*part.keys.values(), new_id())} == {7}
    async with resources.database.read(world.alpha_id) as session:
        shown = await session.execute(
            text(
                "SELECT tablename FROM pg_stats WHERE schemaname = 'public'"
                " AND tablename IN ('users', 'schools', 'groups', 'memberships')"
            )
        )
        assert shown.all() == []
