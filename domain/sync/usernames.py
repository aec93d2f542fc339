"""A username belongs to one live person of a tenant, whatever its case."""

import asyncpg

from domain.roster.records import RecordType
from domain.sync.complete import complete_entity
from domain.sync.context import RunContext
from domain.sync.entities import USERS
from domain.sync.staging import MAPPED
from domain.validation.codes import Code


def folded(row: str) -> str:
    """SQL for the username of a row as two are compared: see users.username_key."""
    return f'casefold({row}.username COLLATE "pg_unicode_fast")'


async def reject_taken_usernames(context: RunContext, connection: asyncpg.Connection) -> None:
    """Of those who share a username one keeps it, the others are rejected.

    It stays with whoever is not rostered by the provider, else who has it already, else the first
    in the feed. The others keep what is stored of them, which may be a username that
    somebody else was about to take: so the rule is asked again until it finds nothing. It ends,
    since what is stored has no clashes.
    """
    while await _reject_once(context, connection):
        await complete_entity(context, connection, USERS, is_delta=False)


async def _reject_once(context: RunContext, connection: asyncpg.Connection) -> bool:
    table, links = context.staging.of(RecordType.USER), context.staging.links
    everybody = (
        f"SELECT {folded('s')} AS key, s.username, s.source_id, s.read_at,"
        f"  s.is_stored, false AS is_other FROM {table} s"
        " UNION ALL"
        " SELECT u.username_key, u.username, coalesce(u.source_id, u.id::text), NULL, true, true"
        f" FROM users u WHERE u.tenant_id = '{context.tenant_id}' AND u.origin <> 'PROVIDER'"
        "  AND u.username_key IS NOT NULL"
        # Who becomes somebody of the feed, or is closed by this run, keeps nobody from it.
        f" AND NOT EXISTS (SELECT FROM {links} l WHERE l.record_type = 'USER' AND l.id = u.id)"
        f" AND NOT EXISTS (SELECT FROM {context.staging.settled} l"
        "   WHERE l.record_type = 'USER' AND l.id = u.id)"
    )
    shared = f"SELECT key FROM ({everybody}) e GROUP BY key HAVING count(*) > 1"
    if not await connection.fetchval(f"SELECT EXISTS ({shared})"):
        return False
    await connection.execute("DROP TABLE IF EXISTS pg_temp.clashes")
    await connection.execute(
        "CREATE TEMPORARY TABLE clashes ON COMMIT DROP AS"
        f" WITH everybody AS ({everybody}), shared AS ({shared})"
        " SELECT e.*, row_number() OVER (PARTITION BY e.key"
        "   ORDER BY e.is_other DESC, e.is_stored DESC,"
        "   (coalesce(v.username_key, u.username_key) = e.key) IS TRUE DESC, e.read_at) AS rank"
        " FROM everybody e JOIN shared USING (key)"
        f" LEFT JOIN users u ON u.tenant_id = '{context.tenant_id}' AND u.source_id = e.source_id"
        "  AND NOT e.is_other"
        f" LEFT JOIN {links} l ON l.record_type = 'USER' AND l.source_id = e.source_id"
        "  AND NOT e.is_other"
        f" LEFT JOIN users v ON v.tenant_id = '{context.tenant_id}' AND v.id = l.id"
    )
    done = await connection.execute(
        f"WITH gone AS (DELETE FROM {table} s USING clashes c"
        "   WHERE c.rank > 1 AND s.read_at = c.read_at AND NOT s.is_stored RETURNING s.*, c.key)"
        f" INSERT INTO {context.staging.problems}"
        " (code, record_type, source_id, field, expected, found, cause, record, rejects)"
        " SELECT CASE WHEN w.username = s.username THEN $1 ELSE $2 END, 'USER', s.source_id,"
        " 'username', 'a username of their own',"
        " s.username || ', which belongs to ' || w.source_id || ' as ' || w.username,"
        f" 'USER ' || s.source_id, {MAPPED}, true"
        " FROM gone s JOIN clashes w ON w.key = s.key AND w.rank = 1",
        Code.USER_LOGIN_TAKEN.value,
        Code.USER_LOGIN_CASE_CLASH.value,
    )
    return bool(done != "INSERT 0 0")
