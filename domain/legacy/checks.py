"""What is wrong with a row beside its cells: ids and usernames that are taken, or unknown."""

from typing import Final
from uuid import UUID

import asyncpg

from domain.files.imports import FOLDED, drop_wrong, refuse_repeated
from domain.files.layouts import Layout
from domain.legacy.layouts import (
    GROUPS,
    MEMBERSHIPS,
    PEOPLE,
    PROGRESS,
    SCHOOLS,
    SETTINGS,
)
from domain.roster.records import RecordType

_KEYS: Final = {
    SCHOOLS: ("id",),
    GROUPS: ("id",),
    PEOPLE: ("id",),
    MEMBERSHIPS: ("person_id", "group_id", "role"),
    SETTINGS: ("level", "id"),
    PROGRESS: ("person_id", "group_id"),
}
_NAMES: Final = {RecordType.SCHOOL: "school", RecordType.GROUP: "group", RecordType.USER: "person"}
_REFERENCES: Final = {
    GROUPS: {"school_id": RecordType.SCHOOL},
    MEMBERSHIPS: {"person_id": RecordType.USER, "group_id": RecordType.GROUP},
    PROGRESS: {"person_id": RecordType.USER, "group_id": RecordType.GROUP},
}
LEVELS: Final = {
    "SCHOOL": RecordType.SCHOOL,
    "GROUP": RecordType.GROUP,
    "PERSON": RecordType.USER,
}


async def check(connection: asyncpg.Connection, tenant_id: UUID, layout: Layout) -> None:
    """Takes the wrong rows out of the layout's table; afterwards it may be referred to."""
    await _check_keys(connection, layout)
    for column, record_type in _REFERENCES.get(layout, {}).items():
        await _check_reference(connection, layout, column, f"l.{column}", record_type)
    if layout is SETTINGS:
        for level, record_type in LEVELS.items():
            name = f"CASE l.level WHEN '{level}' THEN l.id END"
            await _check_reference(connection, layout, "id", name, record_type)
    if layout is PEOPLE:
        await _check_schools(connection)
        await refuse_repeated(connection, PEOPLE, "username")
    await drop_wrong(connection, layout)
    if layout is PEOPLE:
        await _check_stored_usernames(connection, tenant_id)
        await drop_wrong(connection, layout)
    if layout.record_type is not None:
        await _introduce(connection, layout, layout.record_type)


async def _check_keys(connection: asyncpg.Connection, layout: Layout) -> None:
    """The first row of several stays."""
    keys = ", ".join(f"l.{name}" for name in _KEYS[layout])
    await connection.execute(
        "INSERT INTO file_errors"
        " SELECT $1, d.line, $2, format('This is on line %s already.', d.first)"
        " FROM (SELECT l.line, min(l.line) OVER (PARTITION BY"
        f"   {keys}) AS first FROM {layout.staged} l) d WHERE d.line > d.first",
        layout.file,
        _KEYS[layout][0] if len(_KEYS[layout]) == 1 else None,
    )


async def _check_reference(
    connection: asyncpg.Connection,
    layout: Layout,
    column: str,
    value: str,
    record_type: RecordType,
) -> None:
    await connection.execute(
        "INSERT INTO file_errors"
        " SELECT $1, l.line, $2, format('There is no %s %L that could be imported.', $3::text,"
        f"   left({value}, 60))"
        f" FROM {layout.staged} l"
        f" WHERE {value} IS NOT NULL AND NOT EXISTS (SELECT FROM legacy_ids k"
        f"   WHERE k.record_type = $4 AND k.id = {value})",
        layout.file,
        column,
        _NAMES[record_type],
        record_type.value,
    )


async def _check_schools(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "INSERT INTO file_errors"
        " SELECT $1, l.line, 'school_ids',"
        "  format('There is no school %L that could be imported.', left(min(s.id), 60))"
        " FROM legacy_people l CROSS JOIN unnest(l.school_ids) s (id)"
        " WHERE NOT EXISTS (SELECT FROM legacy_ids k"
        "  WHERE k.record_type = 'SCHOOL' AND k.id = s.id) GROUP BY l.line",
        PEOPLE.file,
    )


async def _check_stored_usernames(connection: asyncpg.Connection, tenant_id: UUID) -> None:
    """Whoever is stored keeps the username, unless the file gives them another one.

    Those who cannot have another one keep theirs too, and so on.
    """
    await connection.execute("ALTER TABLE legacy_people ADD username_key text")
    await connection.execute(
        f"UPDATE legacy_people l SET username_key = {FOLDED.format('l.username')}"
    )
    await connection.execute("CREATE INDEX ON legacy_people (username_key)")
    await connection.execute("ANALYZE legacy_people")
    await connection.execute(
        "INSERT INTO file_errors"
        " WITH RECURSIVE known AS MATERIALIZED ("
        "   SELECT l.line, l.username_key, k.record_id, coalesce(k.is_live, true) AS is_live"
        "   FROM legacy_people l LEFT JOIN legacy_ids k"
        "    ON k.record_type = 'USER' AND k.id = l.id),"
        " taken AS MATERIALIZED ("
        "   SELECT n.line, n.record_id, u.id AS holder, u.username FROM known n"
        "   JOIN users u ON u.tenant_id = $1 AND u.username_key = n.username_key"
        "   WHERE n.is_live AND u.id IS DISTINCT FROM n.record_id),"
        " wrong AS ("
        "   SELECT t.line, t.record_id, t.username FROM taken t"
        "   WHERE t.holder NOT IN"
        "    (SELECT n.record_id FROM known n WHERE n.record_id IS NOT NULL)"
        "   UNION SELECT t.line, t.record_id, t.username FROM wrong w"
        "   JOIN taken t ON t.holder = w.record_id)"
        " SELECT $2, w.line, 'username',"
        "  format('Somebody here has the username %L already.', left(w.username, 60))"
        " FROM wrong w",
        tenant_id,
        PEOPLE.file,
    )


async def _introduce(
    connection: asyncpg.Connection, layout: Layout, record_type: RecordType
) -> None:
    """Whoever is not stored yet gets an id of ours."""
    await connection.execute(
        "INSERT INTO legacy_ids"
        f" SELECT $1, l.id, uuidv7(), true, true FROM {layout.staged} l"
        " ON CONFLICT DO NOTHING",
        record_type.value,
    )
    await connection.execute("ANALYZE legacy_ids")
