"""Does what was planned: a fixed number of statements, however many people there are."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from domain.roster.models import Origin
from domain.staffing.layouts import ADMIN_ROLES, SCHOOLS

_ADMINS: Final = ", ".join(f"'{role}'" for role in ADMIN_ROLES)
# A role that is none of the file's, and that somebody was given here, stays.
_ROLES: Final = (
    "CASE WHEN 'role' = ANY (p.fields) THEN (SELECT array_agg(DISTINCT o.role ORDER BY o.role)"
    "  FROM (SELECT r.role FROM unnest(u.roles) r (role)"
    f"   WHERE r.role NOT IN ({_ADMINS}) UNION SELECT l.role) o)"
    " ELSE u.roles END"
)
_HAS_SCHOOLS: Final = f"(p.action = 'CREATE' OR '{SCHOOLS}' = ANY (p.fields))"


async def write(
    connection: asyncpg.Connection, tenant_id: UUID, *, present: Collection[str], now: datetime
) -> None:
    await _update(connection, tenant_id, has_enabled="is_enabled" in present)
    await connection.execute(
        "INSERT INTO users (tenant_id, id, origin, username, given_name, family_name, email,"
        " roles, grades, is_enabled)"
        f" SELECT $1, p.user_id, '{Origin.IMPORT}', l.username, l.given_name, l.family_name,"
        f"  l.email, ARRAY[l.role], '{{}}', l.is_enabled"
        " FROM people_plan p JOIN people_rows l ON l.line = p.line"
        " WHERE p.action = 'CREATE' ORDER BY l.line",
        tenant_id,
    )
    await _affiliate(connection, tenant_id)
    await _archive(connection, tenant_id, now)
    await _end_sessions(connection, tenant_id, now)


async def _update(connection: asyncpg.Connection, tenant_id: UUID, *, has_enabled: bool) -> None:
    # Memberships that were archived with somebody come back with them.
    await connection.execute(
        "UPDATE memberships m SET archived_at = NULL FROM people_plan p"
        " JOIN people_known k ON k.id = p.user_id"
        " WHERE p.action = 'RESTORE' AND m.tenant_id = $1 AND m.user_id = p.user_id"
        f" AND m.origin = '{Origin.IMPORT}' AND m.archived_at = k.archived_at"
        " AND EXISTS (SELECT FROM groups g WHERE g.tenant_id = $1 AND g.id = m.group_id"
        "  AND g.archived_at IS NULL)",
        tenant_id,
    )
    is_enabled = "l.is_enabled" if has_enabled else "u.is_enabled"
    await connection.execute(
        "UPDATE users u SET username = l.username, given_name = l.given_name,"
        f" family_name = l.family_name, email = l.email, is_enabled = {is_enabled},"
        f" roles = {_ROLES}, archived_at = NULL, archived_by_run_id = NULL"
        " FROM people_plan p JOIN people_rows l ON l.line = p.line"
        " WHERE u.tenant_id = $1 AND u.id = p.user_id AND p.action IN ('UPDATE', 'RESTORE')",
        tenant_id,
    )


async def _affiliate(connection: asyncpg.Connection, tenant_id: UUID) -> None:
    """Schools that are archived stay with whoever had them: they may come back."""
    await connection.execute(
        "DELETE FROM school_affiliations a USING people_plan p, schools s"
        f" WHERE a.tenant_id = $1 AND a.user_id = p.user_id AND {_HAS_SCHOOLS}"
        "  AND s.tenant_id = $1 AND s.id = a.school_id AND s.archived_at IS NULL",
        tenant_id,
    )
    await connection.execute(
        "INSERT INTO school_affiliations (tenant_id, user_id, school_id, position)"
        " SELECT $1, p.user_id, s.school_id, s.position"
        " FROM people_plan p JOIN people_schools s ON s.line = p.line"
        f" WHERE {_HAS_SCHOOLS}",
        tenant_id,
    )


async def _archive(connection: asyncpg.Connection, tenant_id: UUID, now: datetime) -> None:
    for table, key in (("users", "id"), ("memberships", "user_id")):
        await connection.execute(
            f"UPDATE {table} t SET archived_at = $2 FROM people_plan p WHERE p.action = 'ARCHIVE'"
            f" AND t.tenant_id = $1 AND t.{key} = p.user_id AND t.archived_at IS NULL",
            tenant_id,
            now,
        )


async def _end_sessions(connection: asyncpg.Connection, tenant_id: UUID, now: datetime) -> None:
    await connection.execute(
        "UPDATE sessions s SET ended_at = $2 FROM people_plan p"
        " JOIN users u ON u.tenant_id = $1 AND u.id = p.user_id"
        " WHERE s.tenant_id = $1 AND s.user_id = u.id AND s.ended_at IS NULL"
        " AND (u.archived_at IS NOT NULL OR NOT u.is_enabled)",
        tenant_id,
        now,
    )
