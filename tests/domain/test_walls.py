"""The walls between tenants and between roles, asked of the database itself."""

from uuid import UUID

import asyncpg
import pytest

from domain.clock import new_id
from domain.database import DatabaseRole
from domain.models import metadata
from domain.people.callers import COMMAND_LINE
from domain.resources import Resources
from domain.tenants.service import create_tenant
from tests.conftest import dsn

pytestmark = pytest.mark.anyio

TENANT_TABLES = sorted(
    table.name
    for table in metadata.tables.values()
    if "tenant_id" in table.columns and table.name != "api_tokens"
)
ROLES = (DatabaseRole.API, DatabaseRole.WORKER)
WALLED = (
    "schools", "terms", "courses", "groups", "users", "school_affiliations", "memberships",
    "membership_spans", "training_settings", "progress", "integrations", "sync_schedules",
    "sync_runs", "sync_leases", "sync_changes", "holds", "validation_errors", "audit_log",
    "subscriptions",
)  # fmt: skip
SEEN_BY_EVERYBODY = {
    "tenants", "terms", "courses", "integrations", "subscriptions", "sign_in_methods",
    "training_versions", "year_rollovers",
}  # fmt: skip
ROWS = """
    INSERT INTO schools (tenant_id, id, origin, source_id, name)
        VALUES ($1, $2, 'PROVIDER', 's', 'S');
    INSERT INTO terms (tenant_id, origin, source_id, name, kind)
        VALUES ($1, 'PROVIDER', 't', 'T', 'term');
    INSERT INTO courses (tenant_id, origin, source_id, name, subjects)
        VALUES ($1, 'PROVIDER', 'c', 'C', '{}');
    INSERT INTO groups (tenant_id, id, origin, source_id, school_id, name, term_source_ids, grades,
        subjects) VALUES ($1, $2, 'PROVIDER', 'g', $2, 'G', '{}', '{}', '{}');
    INSERT INTO users (tenant_id, id, origin, source_id, username, given_name, family_name, roles,
        grades, is_enabled) VALUES ($1, $2, 'PROVIDER', 'u', 'u', 'U', 'U', '{}', '{}', true);
    INSERT INTO school_affiliations VALUES ($1, $2, $2, 1);
    INSERT INTO memberships (tenant_id, id, user_id, group_id, role, origin)
        VALUES ($1, $2, $2, $2, 'STUDENT', 'PROVIDER');
    INSERT INTO membership_spans (tenant_id, membership_id, source_id, is_primary)
        VALUES ($1, $2, 'e', false);
    INSERT INTO training_settings (tenant_id, user_id) VALUES ($1, $2);
    INSERT INTO progress (tenant_id, user_id, group_id, school_year) VALUES ($1, $2, $2, 2026);
    INSERT INTO integrations (tenant_id, id, provider, status)
        VALUES ($1, $2, 'ONEROSTER_CSV', 'ACTIVE');
    INSERT INTO integration_credentials (tenant_id, integration_id, sealed) VALUES ($1, $2, 'x');
    INSERT INTO sync_schedules (tenant_id, integration_id, local_time, every_days, first_on)
        VALUES ($1, $2, '02:00', 1, '2026-01-01');
    INSERT INTO sync_runs (tenant_id, id, integration_id, mode, trigger, state, requested_by)
        VALUES ($1, $2, $2, 'FULL', 'MANUAL', 'QUEUED', 'x');
    INSERT INTO sync_leases VALUES ($1, $2, 1, now());
    INSERT INTO sync_changes (tenant_id, run_id, record_type, record_id, action, old_values,
        new_values) VALUES ($1, $2, 'USER', $2, 'UPDATE', '{}', '{}');
    INSERT INTO holds (tenant_id, run_id, reasons) VALUES ($1, $2, '[]');
    INSERT INTO validation_errors (tenant_id, fingerprint, state, code, severity, record_type,
        cause, first_seen_run_id, first_seen_at, last_seen_run_id, last_seen_at, runs)
        VALUES ($1, $2, 'OPEN', 'X', 'ERROR', 'USER', 'x', $2, now(), $2, now(), 1);
"""


@pytest.fixture
async def tenants(resources: Resources, superuser: asyncpg.Connection) -> tuple[UUID, UUID]:
    """Two tenants with a row in every table that is asked about."""
    ids = new_id(), new_id()
    for tenant_id, slug in zip(ids, ("alpha", "beta"), strict=True):
        async with resources.database.transaction(tenant_id) as session:
            await create_tenant(
                session, tenant_id=tenant_id, slug=slug, name=slug, caller=COMMAND_LINE
            )
        row = ROWS.replace("$1", f"'{tenant_id}'").replace("$2", f"'{new_id()}'")
        await superuser.execute(row)
    return ids


async def connect(
    database_url: dict[str, str], role: DatabaseRole, tenant_id: UUID | None = None
) -> asyncpg.Connection:
    connection = await asyncpg.connect(
        dsn(database_url[role]), server_settings={"role": role.value}
    )
    await connection.execute(
        "SELECT set_config('homerow.tenant_id', $1, false)", str(tenant_id or "")
    )
    return connection


async def count(connection: asyncpg.Connection, table: str) -> int:
    found = await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own table
    return int(found)


@pytest.mark.parametrize("role", ROLES)
async def test_without_a_tenant_no_row_is_seen(
    tenants: tuple[UUID, UUID],
    database_url: dict[str, str],
    superuser: asyncpg.Connection,
    role: DatabaseRole,
) -> None:
    connection = await connect(database_url, role)
    try:
        for table in WALLED:
            assert (table, await count(superuser, table)) == (table, 2)
            assert (table, await count(connection, table)) == (table, 0)
        assert await count(connection, "tenants") == 0
    finally:
        await connection.close()


@pytest.mark.parametrize("role", ROLES)
async def test_a_tenant_is_seen_alone_by_a_query_without_a_filter(
    tenants: tuple[UUID, UUID], database_url: dict[str, str], role: DatabaseRole
) -> None:
    connection = await connect(database_url, role, tenants[0])
    try:
        for table in WALLED:
            rows = await connection.fetch(f"SELECT tenant_id FROM {table}")  # noqa: S608 - our own table
            assert (table, [row[0] for row in rows]) == (table, [tenants[0]])
        assert [row[0] for row in await connection.fetch("SELECT slug FROM tenants")] == ["alpha"]
    finally:
        await connection.close()


async def test_a_row_of_another_tenant_cannot_be_written(
    tenants: tuple[UUID, UUID], database_url: dict[str, str]
) -> None:
    alpha, beta = tenants
    for role, statement in (
        (
            DatabaseRole.WORKER,
            "INSERT INTO terms (tenant_id, origin, name, kind) VALUES ($1, 'LEGACY', 'x', 'x')",
        ),
        (DatabaseRole.WORKER, "UPDATE terms SET tenant_id = $1"),
        (
            DatabaseRole.API,
            (
                "INSERT INTO sign_in_methods (tenant_id, method, is_enabled)"
                " VALUES ($1, 'CLEVER', true)"
            ),
        ),
        (
            DatabaseRole.API,
            "INSERT INTO onboarding_steps (tenant_id, step) VALUES ($1, 'x')",
        ),
    ):
        connection = await connect(database_url, role, alpha)
        try:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await connection.execute(statement, beta)
        finally:
            await connection.close()


async def test_an_update_and_a_delete_reach_only_the_tenant(
    tenants: tuple[UUID, UUID], database_url: dict[str, str], superuser: asyncpg.Connection
) -> None:
    connection = await connect(database_url, DatabaseRole.WORKER, tenants[0])
    try:
        assert await connection.execute("UPDATE users SET given_name = 'Z'") == "UPDATE 1"
        assert await connection.execute("DELETE FROM membership_spans") == "DELETE 1"
    finally:
        await connection.close()
    assert await count(superuser, "membership_spans") == 1


async def test_a_reference_into_another_tenant_cannot_be_written(
    tenants: tuple[UUID, UUID], superuser: asyncpg.Connection
) -> None:
    other = await superuser.fetchval("SELECT id FROM schools WHERE tenant_id = $1", tenants[1])
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await superuser.execute(
            "UPDATE groups SET school_id = $2 WHERE tenant_id = $1", tenants[0], other
        )


async def test_every_reference_between_tenant_tables_carries_the_tenant(
    superuser: asyncpg.Connection,
) -> None:
    rows = await superuser.fetch(
        "SELECT c.conname, c.conrelid::regclass::text AS child, ("
        "  SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.conrelid"
        "  AND a.attnum = c.conkey[1]) AS first_column, ("
        "  SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.confrelid"
        "  AND a.attnum = c.confkey[1]) AS first_target"
        " FROM pg_constraint c WHERE c.contype = 'f'"
        "  AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.conrelid"
        "    AND a.attname = 'tenant_id')"
        "  AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.confrelid"
        "    AND a.attname = 'tenant_id')"
    )
    assert len(rows) > 20
    assert [tuple(row) for row in rows if tuple(row)[2:] != ("tenant_id", "tenant_id")] == []


async def test_every_tenant_table_has_forced_row_security_or_is_nobodys(
    superuser: asyncpg.Connection,
) -> None:
    rows = await superuser.fetch(
        "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS is_walled,"
        " c.relispartition AND NOT EXISTS (SELECT FROM unnest($1::text[]) AS r (role),"
        "   unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS p (privilege)"
        "   WHERE has_table_privilege(r.role, c.oid, p.privilege)) AS is_nobodys"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
        " WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace",
        [role.value for role in ROLES],
    )
    assert {row["relname"] for row in rows} >= set(TENANT_TABLES)
    assert [row["relname"] for row in rows if not (row["is_walled"] or row["is_nobodys"])] == []


async def test_every_tenant_table_says_how_far_people_see(
    superuser: asyncpg.Connection,
) -> None:
    """A policy for each command, for nobody but the API and on top of all others."""
    rows = await superuser.fetch(
        "SELECT tablename, policyname, permissive, roles, coalesce(qual, with_check) AS asked"
        " FROM pg_policies WHERE policyname LIKE 'reach%'"
    )
    found = {(row["tablename"], row["policyname"]) for row in rows}
    wanted = {
        (table, f"reach_{command}")
        for table in (*TENANT_TABLES, "api_tokens", "tenants")
        for command in ("select", "insert", "update", "delete")
        if command != "select" or table not in SEEN_BY_EVERYBODY
    }
    assert found == wanted
    for row in rows:
        assert (row["permissive"], row["roles"]) == ("RESTRICTIVE", ["homerow_api"])
        assert "homerow.reach" in row["asked"], tuple(row)


async def test_neither_role_owns_anything_or_goes_around_the_walls(
    superuser: asyncpg.Connection,
) -> None:
    rows = await superuser.fetch(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles"
        " WHERE rolname LIKE 'homerow_%' ORDER BY rolname"
    )
    assert [tuple(row) for row in rows] == [
        (name, False, False, False, False)
        for name in ("homerow_api", "homerow_owner", "homerow_worker")
    ]
    for role in ROLES:
        owned = await superuser.fetch(
            "SELECT relname FROM pg_class WHERE relowner = $1::regrole AND relnamespace ="
            " 'public'::regnamespace UNION ALL"
            " SELECT proname FROM pg_proc WHERE proowner = $1::regrole",
            role.value,
        )
        assert owned == []
    assert not await superuser.fetchval(
        "SELECT EXISTS (SELECT FROM pg_auth_members m WHERE m.member IN"
        " ('homerow_api'::regrole, 'homerow_worker'::regrole))"
    )


async def test_the_api_may_not_read_secrets_or_staging_or_change_the_audit_log(
    tenants: tuple[UUID, UUID], database_url: dict[str, str]
) -> None:
    connection = await connect(database_url, DatabaseRole.API, tenants[0])
    try:
        for statement in (
            "SELECT sealed FROM integration_credentials",
            "SELECT * FROM integration_credentials",
            "SELECT password_hash FROM accounts",
            "SELECT totp_sealed FROM accounts",
            "SELECT * FROM accounts",
            "SELECT id FROM accounts WHERE password_hash = 'x'",
            "UPDATE accounts SET name = password_hash",
            "UPDATE accounts SET name = 'x' RETURNING password_hash",
            "SELECT body_text FROM mail_outbox",
            "SELECT body_html FROM mail_outbox",
            "SELECT recipient FROM mail_outbox",
            "SELECT * FROM mail_outbox",
            "UPDATE mail_outbox SET recipient = 'x'",
            "DELETE FROM accounts",
            "UPDATE audit_log SET actor = 'x'",
            "DELETE FROM audit_log",
            "TRUNCATE audit_log",
            "DELETE FROM users",
            "UPDATE users SET given_name = 'x'",
            "INSERT INTO schools (tenant_id, origin, name) SELECT id, 'LEGACY', 'x' FROM tenants",
            "UPDATE sync_leases SET token = 1",
            "CREATE TABLE staging.mine (n int)",
            "CREATE TABLE public.mine (n int)",
            "SELECT * FROM sync_changes_default",
            "SELECT * FROM claim_sync_run('1 minute')",
            "SET ROLE homerow_owner",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        found = await connection.fetch("SELECT tenant_id FROM integration_credentials")
        assert [row[0] for row in found] == [tenants[0]]
    finally:
        await connection.close()


async def test_the_api_may_not_read_what_a_run_staged(
    tenants: tuple[UUID, UUID], database_url: dict[str, str]
) -> None:
    worker = await connect(database_url, DatabaseRole.WORKER, tenants[0])
    api = await connect(database_url, DatabaseRole.API, tenants[0])
    try:
        await worker.execute("CREATE UNLOGGED TABLE staging.run_x (n int)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api.execute("SELECT * FROM staging.run_x")
    finally:
        await worker.close()
        await api.close()


async def test_the_worker_may_not_change_what_is_not_its_own(
    tenants: tuple[UUID, UUID], database_url: dict[str, str]
) -> None:
    connection = await connect(database_url, DatabaseRole.WORKER, tenants[0])
    try:
        for statement in (
            "UPDATE audit_log SET actor = 'x'",
            "DELETE FROM audit_log",
            "DELETE FROM users",
            "DELETE FROM memberships",
            "UPDATE training_settings SET speed_target = 1",
            "DELETE FROM training_settings",
            "UPDATE progress SET lessons = 1",
            "DELETE FROM progress",
            "UPDATE integration_credentials SET sealed = 'y'",
            "UPDATE tenants SET name = 'x'",
            "UPDATE api_tokens SET name = 'x'",
            "TRUNCATE users",
            "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_functions_that_pass_the_walls_are_closed_to_the_public_and_pinned(
    superuser: asyncpg.Connection,
) -> None:
    rows = await superuser.fetch(
        "SELECT p.oid::regprocedure::text AS name, p.proconfig AS config, EXISTS ("
        "  SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0) OR p.proacl IS NULL AS is_public"
        " FROM pg_proc p WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace"
    )
    assert len(rows) >= 8
    for row in rows:
        assert (row["name"], row["is_public"]) == (row["name"], False)
        assert row["config"] == ["search_path=pg_catalog, public, pg_temp"], row["name"]
    for role in ROLES:
        assert not await superuser.fetchval(
            "SELECT has_schema_privilege($1, 'public', 'CREATE')", role.value
        )


async def test_a_token_of_an_operator_is_not_seen_by_a_tenant(
    tenants: tuple[UUID, UUID], database_url: dict[str, str], superuser: asyncpg.Connection
) -> None:
    for tenant_id in (None, *tenants):
        await superuser.execute(
            "INSERT INTO api_tokens (tenant_id, name, token_hash, scopes)"
            " VALUES ($1, $2, $3, '{}')",
            tenant_id,
            str(tenant_id),
            str(tenant_id).encode(),
        )
    for tenant_id in (None, tenants[0]):
        connection = await connect(database_url, DatabaseRole.API, tenant_id)
        try:
            names = [row[0] for row in await connection.fetch("SELECT name FROM api_tokens")]
            assert names == [str(tenant_id)]
        finally:
            await connection.close()
