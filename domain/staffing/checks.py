"""What is wrong with a row beside its cells: whose username it is, and which schools there are."""

from typing import Final
from uuid import UUID

import asyncpg

from domain.files.imports import FOLDED, drop_wrong, note, refuse_repeated
from domain.files.tables import RowError
from domain.roster.models import Origin
from domain.roster.records import Role
from domain.staffing.layouts import PEOPLE, SCHOOLS, People, PeopleKind
from domain.staffing.schools import names_of_schools

_HEADER_LINE: Final = 1


async def check(
    connection: asyncpg.Connection, tenant_id: UUID, people: People, *, archives_others: bool
) -> None:
    """Takes the wrong rows out of the table, and says of the others which schools they have."""
    for column in ("username", "email"):
        await refuse_repeated(connection, people.layout, column)
    await _refuse_others_usernames(connection, tenant_id, people)
    await _refuse_merged(connection, tenant_id, people)
    await _find_schools(connection, tenant_id)
    await _refuse_unknown_schools(connection, tenant_id, people)
    await drop_wrong(connection, people.layout)
    await _refuse_others_emails(connection, tenant_id, people, archives_others=archives_others)
    await drop_wrong(connection, people.layout)


async def _refuse_others_usernames(
    connection: asyncpg.Connection, tenant_id: UUID, people: People
) -> None:
    [other] = [one for one in PEOPLE.values() if one is not people]
    theirs = {
        f"u.origin = '{Origin.PROVIDER}'": (
            "is rostered by the provider: change that there, or write another username."
        ),
        f"u.origin = '{Origin.LEGACY}'": ("was here before rostering: write another username."),
        other.is_one: (
            f"belongs into {other.layout.file}: change them there, or write another username."
        ),
    }
    words = " ".join(f"WHEN {condition} THEN '{text}'" for condition, text in theirs.items())
    await connection.execute(
        "INSERT INTO file_errors SELECT $2, l.line, 'username',"
        "  format('Somebody here has the username %L already and %s', left(u.username, 60),"
        f"   CASE {words} ELSE 'is of another role: write another username.' END)"
        " FROM people_rows l JOIN users u ON u.tenant_id = $1 AND u.username_key = l.username_key"
        f" WHERE u.origin <> '{Origin.IMPORT}' OR NOT {people.is_one}",
        tenant_id,
        people.layout.file,
    )


async def _refuse_merged(connection: asyncpg.Connection, tenant_id: UUID, people: People) -> None:
    """An old file does not undo what an administrator has found out: that two are one."""
    await connection.execute(
        "INSERT INTO file_errors SELECT DISTINCT ON (l.line) $2, l.line, 'username',"
        "  format('Whoever had the username %L was merged into another person: take the row out,"
        " or write another username.', left(u.username, 60))"
        " FROM people_rows l JOIN users u ON u.tenant_id = $1"
        f"  AND {FOLDED.format('u.username')} = l.username_key"
        f" WHERE u.origin = '{Origin.IMPORT}' AND u.merged_into_id IS NOT NULL"
        "  AND NOT EXISTS (SELECT FROM users o WHERE o.tenant_id = $1"
        "   AND o.username_key = l.username_key)"
        " ORDER BY l.line",
        tenant_id,
        people.layout.file,
    )


async def _find_schools(connection: asyncpg.Connection, tenant_id: UUID) -> None:
    """`people_schools`: each row's schools in their order; `school_id` null where none is meant."""
    await connection.execute(
        "CREATE TEMPORARY TABLE people_schools (line int, position int, name text,"
        " school_id uuid, schools int) ON COMMIT DROP"
    )
    await connection.execute(
        "INSERT INTO people_schools"
        " SELECT l.line, w.position, w.name,"
        "  CASE WHEN k.schools = 1 THEN k.school_id END, coalesce(k.schools, 0)"
        " FROM people_rows l CROSS JOIN unnest(l.school_numbers)"
        "  WITH ORDINALITY w (name, position)"
        f" LEFT JOIN {names_of_schools('$1')} k ON k.name = w.name",
        tenant_id,
    )
    # By its number and by its id: one school all the same.
    await connection.execute(
        "DELETE FROM people_schools s USING people_schools t WHERE t.line = s.line"
        " AND t.school_id = s.school_id AND t.position < s.position"
    )
    await connection.execute("ANALYZE people_schools")


async def _refuse_unknown_schools(
    connection: asyncpg.Connection, tenant_id: UUID, people: People
) -> None:
    """A spreadsheet that took numbers for numbers has dropped the zeros that they begin with."""
    await connection.execute(
        "INSERT INTO file_errors SELECT $2, s.line, $3, CASE WHEN s.schools > 1 THEN"
        "  format('There are %s schools with the number %L: write the id that the provider has for"
        " the one that is meant.', s.schools, left(s.name, 60))"
        " WHEN z.name IS NOT NULL THEN format('There is no school %L, but there is %L: a"
        " spreadsheet may have dropped its zeros.', left(s.name, 60), left(z.name, 60))"
        " WHEN a.name IS NOT NULL THEN format('The school %L is archived.', left(s.name, 60))"
        " ELSE format('There is no school with the number or id %L.', left(s.name, 60)) END"
        " FROM people_schools s"
        " LEFT JOIN (SELECT ltrim(k.name, '0') AS bare, min(k.name) AS name"
        f"  FROM {names_of_schools('$1')} k GROUP BY 1) z ON z.bare = ltrim(s.name, '0')"
        f" LEFT JOIN {names_of_schools('$1', archived=True)} a ON a.name = s.name"
        " WHERE s.schools <> 1",
        tenant_id,
        people.layout.file,
        SCHOOLS,
    )


async def _refuse_others_emails(
    connection: asyncpg.Connection, tenant_id: UUID, people: People, *, archives_others: bool
) -> None:
    """Of somebody else who is imported and stays; whoever is in the file gives theirs up."""
    is_leaving = people.is_one if archives_others else "false"
    await connection.execute(
        "INSERT INTO file_errors SELECT DISTINCT ON (l.line) $2, l.line, 'email',"
        "  format('%L, who is imported too, has this address.', left(u.username, 60))"
        " FROM people_rows l JOIN users u ON u.tenant_id = $1"
        f"  AND {FOLDED.format('u.email')} = {FOLDED.format('l.email')}"
        f" WHERE u.origin = '{Origin.IMPORT}' AND u.archived_at IS NULL AND NOT {is_leaving}"
        "  AND NOT EXISTS (SELECT FROM people_rows o WHERE o.username_key = u.username_key)"
        " ORDER BY l.line, u.username",
        tenant_id,
        people.layout.file,
    )


async def check_last_admin(
    connection: asyncpg.Connection, tenant_id: UUID, people: People, *, has_enabled: bool
) -> bool:
    """Whether a district that has admins keeps one; otherwise that is noted as an error."""
    if people.kind is not PeopleKind.ADMINS:
        return True
    role = Role.DISTRICT_ADMIN.value
    stored = (
        "SELECT FROM users u WHERE u.tenant_id = $1 AND u.archived_at IS NULL AND u.is_enabled"
        f" AND '{role}' = ANY (u.roles)"
    )
    will_be_enabled = "l.is_enabled" if has_enabled else "coalesce(u.is_enabled, true)"
    keeps_one = await connection.fetchval(
        f"SELECT NOT EXISTS ({stored})"
        f" OR EXISTS ({stored} AND NOT EXISTS (SELECT FROM people_plan p WHERE p.user_id = u.id))"
        " OR EXISTS (SELECT FROM people_rows l JOIN people_plan p ON p.line = l.line"
        "  LEFT JOIN users u ON u.tenant_id = $1 AND u.id = p.user_id"
        f"  WHERE l.role = '{role}' AND {will_be_enabled})",
        tenant_id,
    )
    if not keeps_one:
        message = "Nobody here would be a district admin any more: keep one who is enabled."
        await note(connection, people.layout, [RowError(_HEADER_LINE, "role", message)])
    return bool(keeps_one)
