"""The migrations: from nothing to the newest schema, and one step back and forth."""

import asyncpg
import pytest
from alembic import command
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from api.migrate import alembic_config, migrate
from tests.api.graphql.seed import add_group, add_school, add_tenant, add_user
from tests.conftest import dsn

pytestmark = pytest.mark.anyio


@pytest.fixture
async def empty_url(database_url: dict[str, str], superuser: asyncpg.Connection) -> str:
    """A database without a schema: the test's own, emptied."""
    await superuser.execute(
        "DROP SCHEMA public CASCADE; DROP SCHEMA IF EXISTS staging CASCADE; CREATE SCHEMA public"
    )
    return database_url["postgres"]


async def schema_of(url: str) -> list[tuple[object, ...]]:
    """Columns, constraints, indexes, policies, functions and privileges, by name."""
    connection = await asyncpg.connect(dsn(url))
    try:
        rows = await connection.fetch(
            "SELECT 'column', table_name || '.' || column_name, data_type || is_nullable"
            "  || coalesce(column_default, '') FROM information_schema.columns"
            "  WHERE table_schema = 'public'"
            " UNION ALL SELECT 'constraint', conrelid::regclass || '.' || conname,"
            "  pg_get_constraintdef(oid) FROM pg_constraint"
            "  WHERE connamespace = 'public'::regnamespace"
            " UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes"
            "  WHERE schemaname = 'public'"
            " UNION ALL SELECT 'policy', tablename || '.' || policyname, roles::text || qual"
            "  FROM pg_policies"
            " UNION ALL SELECT 'function', oid::regprocedure::text, prosrc || proacl::text"
            "  FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            " UNION ALL SELECT 'table', relname, relrowsecurity::text || relforcerowsecurity"
            "  || relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            "  AND relkind IN ('r', 'p') AND relname <> 'alembic_version'"
            " UNION ALL SELECT 'schema', nspname, nspacl::text FROM pg_namespace"
            "  WHERE nspname IN ('staging')"
        )
        return sorted((tuple(row) for row in rows), key=str)
    finally:
        await connection.close()


async def downgrade(url: str, revision: str) -> None:
    def run(connection: Connection) -> None:
        command.downgrade(alembic_config(connection), revision)

    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


async def test_an_empty_database_becomes_the_newest_schema_and_stays_it(
    empty_url: str, database_url: dict[str, str]
) -> None:
    assert await schema_of(empty_url) == []
    await migrate(empty_url)
    made = await schema_of(empty_url)
    assert len(made) > 300
    await migrate(empty_url)
    assert await schema_of(empty_url) == made


async def test_one_step_back_and_forth_changes_nothing(database_url: dict[str, str]) -> None:
    url = database_url["postgres"]
    before = await schema_of(url)
    await downgrade(url, "-1")
    assert await schema_of(url) != before
    await migrate(url)
    assert await schema_of(url) == before


async def test_everything_can_be_taken_back(database_url: dict[str, str]) -> None:
    url = database_url["postgres"]
    before = await schema_of(url)
    await downgrade(url, "base")
    left = [row for row in await schema_of(url) if "alembic_version" not in str(row)]
    assert left == []
    await migrate(url)
    assert await schema_of(url) == before


async def test_who_was_made_one_before_progress_had_years_can_be_taken_apart(
    database_url: dict[str, str], superuser: asyncpg.Connection
) -> None:
    """The year is that of the row in which both are joined, so that it is found again."""
    url = database_url["postgres"]
    await downgrade(url, "0005")
    tenant_id = await add_tenant(superuser, "alpha")
    group_id = await add_group(superuser, tenant_id, await add_school(superuser, tenant_id))
    kept, merged = [await add_user(superuser, tenant_id) for _ in range(2)]
    for user_id, lessons, moment in ((kept, 3, "2026-03-01"), (merged, 4, "2026-09-01")):
        await superuser.execute(
            "INSERT INTO progress (tenant_id, user_id, group_id, lessons, last_active_at)"
            " VALUES ($1, $2, $3, $4, $5::text::timestamptz)",
            tenant_id, user_id, group_id, lessons, moment,
        )  # fmt: skip
    merge_id = await superuser.fetchval(
        "INSERT INTO people_merges (tenant_id, kept_id, merged_id, created_by)"
        " VALUES ($1, $2, $3, 'x') RETURNING id",
        tenant_id, kept, merged,
    )  # fmt: skip
    await superuser.execute("SELECT set_config('homerow.tenant_id', $1, false)", str(tenant_id))
    await superuser.execute("SELECT merge_training($1, $2)", tenant_id, merge_id)
    await migrate(url)
    await superuser.reload_schema_state()
    await superuser.execute("SELECT unmerge_training($1, $2)", tenant_id, merge_id)
    rows = await superuser.fetch("SELECT user_id, school_year, lessons, seconds FROM progress")
    assert {tuple(row) for row in rows} == {(kept, 2026, 3, 0), (merged, 2026, 4, 0)}
