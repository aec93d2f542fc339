"""The rows of a file beside who is stored: what becomes of whom."""

from collections.abc import Collection
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import asyncpg

from domain.files.imports import FOLDED
from domain.roster.models import Origin
from domain.roster.records import Role
from domain.staffing.layouts import SCHOOLS, People

MOST_SHOWN: Final = 1_000


class PeopleAction(StrEnum):
    """What an import does with one person."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    RESTORE = "RESTORE"
    UNCHANGED = "UNCHANGED"
    ARCHIVE = "ARCHIVE"


ROLE: Final = (
    f"CASE WHEN '{Role.DISTRICT_ADMIN}' = ANY (u.roles) THEN '{Role.DISTRICT_ADMIN}'"
    f" WHEN '{Role.SCHOOL_ADMIN}' = ANY (u.roles) THEN '{Role.SCHOOL_ADMIN}'"
    f" ELSE '{Role.STAFF}' END"
)
"""SQL for the role of a user that a file names: the widest."""
_ALWAYS: Final = ("username", "given_name", "family_name", "email", "role")


async def plan(
    connection: asyncpg.Connection,
    tenant_id: UUID,
    people: People,
    *,
    present: Collection[str],
    archives_others: bool,
) -> None:
    """Fills `people_plan`: a row for each person of the file, and for whoever is to go.

    `fields` are what differs, of people who are here.
    """
    await _list_known(connection, tenant_id, people)
    await connection.execute(
        "CREATE TEMPORARY TABLE people_plan (user_id uuid PRIMARY KEY, line int, username text,"
        " action text, fields text[]) ON COMMIT DROP"
    )
    compared = {name: (f"r.{name}", f"l.{name}") for name in _ALWAYS}
    if "is_enabled" in present:
        compared["is_enabled"] = ("r.is_enabled", "l.is_enabled")
    if SCHOOLS in present:
        compared[SCHOOLS] = ("r.school_ids", "s.school_ids")
    fields = ", ".join(
        f"CASE WHEN {ours} IS DISTINCT FROM {theirs} THEN '{name}' END"
        for name, (ours, theirs) in compared.items()
    )
    await connection.execute(
        "INSERT INTO people_plan"
        " SELECT coalesce(r.id, uuidv7()), l.line, l.username, CASE WHEN r.id IS NULL THEN 'CREATE'"
        "  WHEN r.archived_at IS NOT NULL THEN 'RESTORE'"
        "  WHEN f.fields = '{}' THEN 'UNCHANGED' ELSE 'UPDATE' END,"
        "  CASE WHEN r.id IS NULL THEN '{}' ELSE f.fields END"
        " FROM people_rows l LEFT JOIN people_known r ON r.username_key = l.username_key"
        " LEFT JOIN (SELECT line, array_agg(school_id ORDER BY position) AS school_ids"
        "  FROM people_schools GROUP BY line) s ON s.line = l.line"
        f" CROSS JOIN LATERAL (SELECT array_remove(ARRAY[{fields}], NULL) AS fields) f"
        " ORDER BY l.line"
    )
    if archives_others:
        await connection.execute(
            "INSERT INTO people_plan SELECT r.id, NULL, r.username, 'ARCHIVE', '{}'"
            " FROM people_known r WHERE r.archived_at IS NULL AND NOT EXISTS"
            " (SELECT FROM people_rows l WHERE l.username_key = r.username_key)"
        )
    await connection.execute("ANALYZE people_plan")


async def _list_known(connection: asyncpg.Connection, tenant_id: UUID, people: People) -> None:
    """Who was imported, by username: whoever is here, else who was archived last."""
    key = FOLDED.format("u.username")
    await connection.execute(
        "CREATE TEMPORARY TABLE people_known (id uuid, username_key text PRIMARY KEY,"
        " username text, given_name text, family_name text, email text, role text,"
        " is_enabled boolean, archived_at timestamptz, school_ids uuid[]) ON COMMIT DROP"
    )
    await connection.execute(
        "INSERT INTO people_known"
        f" SELECT DISTINCT ON ({key}) u.id, {key}, u.username, u.given_name, u.family_name,"
        f"  u.email, {ROLE}, u.is_enabled, u.archived_at, a.school_ids"
        " FROM users u LEFT JOIN ("
        "  SELECT a.user_id, array_agg(a.school_id ORDER BY a.position) AS school_ids"
        f"  FROM users i JOIN school_affiliations a ON a.tenant_id = $1 AND a.user_id = i.id"
        "  JOIN schools s ON s.tenant_id = $1 AND s.id = a.school_id AND s.archived_at IS NULL"
        f"  WHERE i.tenant_id = $1 AND i.origin = '{Origin.IMPORT}' GROUP BY a.user_id"
        " ) a ON a.user_id = u.id"
        f" WHERE u.tenant_id = $1 AND u.origin = '{Origin.IMPORT}'"
        f"  AND u.username IS NOT NULL AND u.merged_into_id IS NULL AND {people.is_one}"
        f" ORDER BY {key}, u.archived_at DESC NULLS FIRST, u.id",
        tenant_id,
    )
    await connection.execute("ANALYZE people_known")


async def count(connection: asyncpg.Connection) -> dict[str, int]:
    """How many people there are of each action, by its name in small letters."""
    rows = await connection.fetch("SELECT action, count(*) AS n FROM people_plan GROUP BY action")
    found = {row["action"]: row["n"] for row in rows}
    return {action.value.lower(): found.get(action.value, 0) for action in PeopleAction}


async def list_people(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    """What becomes of whom, in the order of the file; the unchanged only where there is room."""
    rows = await connection.fetch(
        "SELECT p.line, p.username, p.action, p.fields FROM people_plan p"
        f" ORDER BY p.action = 'UNCHANGED', p.line NULLS LAST, p.username LIMIT {MOST_SHOWN}"
    )
    return [dict(row) for row in rows]
