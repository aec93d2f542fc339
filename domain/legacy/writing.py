"""Puts what is new into the roster, and new values into what is there: a statement for a set."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from domain.files.layouts import Layout
from domain.legacy.layouts import (
    GROUPS,
    MEMBERSHIPS,
    PEOPLE,
    PROGRESS,
    PROGRESS_FIELDS,
    SCHOOLS,
    SETTINGS,
    SETTINGS_FIELDS,
)
from domain.legacy.staging import KIND
from domain.legacy.stored import IS_NEW, Pairing, pair

_CHANGEABLE: Final = "r.origin = 'LEGACY' AND r.archived_at IS NULL"
_BLANKS: Final = {GROUPS: {"term_source_ids": "'{}'"}}
"""What a new record has beside what the file says."""


class Writing(NamedTuple):
    """`present`: the columns that each file has; a file that is not there is not in it."""

    connection: asyncpg.Connection
    tenant_id: UUID
    now: datetime
    present: Mapping[Layout, Collection[str]]


async def write(writing: Writing) -> None:
    """Parents first. Empty tables get their statistics at once: what follows is joined by them."""
    for layout in (SCHOOLS, GROUPS, PEOPLE):
        if layout in writing.present:
            pairing = pair(layout, writing.present[layout])
            if layout is PEOPLE:
                await _list_changed_schools(writing, pairing)
            await _update(writing, layout, pairing)
            await _insert(writing, layout, pairing)
            await _keep_ids(writing, layout)
            await writing.connection.execute(f"ANALYZE {layout.stored}")
    if PEOPLE in writing.present:
        await _affiliate(writing)
    for layout, step in (
        (MEMBERSHIPS, _write_memberships),
        (SETTINGS, _write_settings),
        (PROGRESS, _write_progress),
    ):
        if layout in writing.present:
            await step(writing)


async def _update(writing: Writing, layout: Layout, pairing: Pairing) -> None:
    values = {
        name: theirs for name, (_, theirs) in pairing.compared.items() if name != "school_ids"
    }
    changed = ", ".join(f"{name} = d.{name}" for name in values)
    chosen = ", ".join(f"{theirs} AS {name}" for name, theirs in values.items())
    await writing.connection.execute(
        f"UPDATE {layout.stored} t SET {changed}"
        f" FROM (SELECT r.id AS stored_id, {chosen} FROM {pairing.rows}"
        f"  WHERE NOT {IS_NEW} AND {_CHANGEABLE} AND {pairing.differs}) d"
        " WHERE t.tenant_id = $1 AND t.id = d.stored_id",
        writing.tenant_id,
    )


async def _insert(writing: Writing, layout: Layout, pairing: Pairing) -> None:
    values = {column.field: f"l.{column.name}" for column in layout.columns if column.field}
    values |= _BLANKS.get(layout, {})
    if layout is GROUPS:
        values["school_id"] = "s.record_id"
    await writing.connection.execute(
        f"INSERT INTO {layout.stored} (tenant_id, id, origin, {', '.join(map(str, values))})"
        f" SELECT $1, k.record_id, 'LEGACY', {', '.join(values.values())}"
        f" FROM {pairing.rows} WHERE k.is_new ORDER BY l.line",
        writing.tenant_id,
    )


async def _keep_ids(writing: Writing, layout: Layout) -> None:
    await writing.connection.execute(
        "INSERT INTO external_keys (tenant_id, record_type, record_id, kind, value)"
        " SELECT $1, record_type, record_id, $3, id FROM legacy_ids"
        " WHERE record_type = $2 AND is_new ON CONFLICT DO NOTHING",
        writing.tenant_id,
        layout.record_type,
        KIND,
    )


async def _list_changed_schools(writing: Writing, pairing: Pairing) -> None:
    """Whose schools are to be written: of new people, and of those with other ones now."""
    changed = "false"
    if ours_and_theirs := pairing.compared.get("school_ids"):
        ours, theirs = ours_and_theirs
        changed = f"{_CHANGEABLE} AND {ours} IS DISTINCT FROM {theirs}"
    await writing.connection.execute(
        "CREATE TEMPORARY TABLE legacy_moved (id uuid PRIMARY KEY) ON COMMIT DROP"
    )
    await writing.connection.execute(
        f"INSERT INTO legacy_moved SELECT k.record_id FROM {pairing.rows}"
        f" WHERE k.is_new OR ({changed})",
        writing.tenant_id,
    )


async def _affiliate(writing: Writing) -> None:
    await writing.connection.execute(
        "DELETE FROM school_affiliations a USING legacy_moved m"
        " WHERE a.tenant_id = $1 AND a.user_id = m.id",
        writing.tenant_id,
    )
    await writing.connection.execute(
        "INSERT INTO school_affiliations (tenant_id, user_id, school_id, position)"
        " SELECT $1, a.user_id, a.school_id, a.position"
        " FROM legacy_affiliations a JOIN legacy_moved m ON m.id = a.user_id",
        writing.tenant_id,
    )


async def _write_memberships(writing: Writing) -> None:
    """Of somebody, or in a group, that was archived here since, they come archived too."""
    await writing.connection.execute(
        "INSERT INTO memberships (tenant_id, user_id, group_id, role, origin, archived_at)"
        " SELECT $1, p.record_id, g.record_id, l.role, 'LEGACY',"
        "  CASE WHEN NOT (p.is_live AND g.is_live) THEN $2::timestamptz END"
        f" FROM {pair(MEMBERSHIPS, ()).rows} WHERE {IS_NEW} ON CONFLICT DO NOTHING",
        writing.tenant_id,
        writing.now,
    )
    await writing.connection.execute("ANALYZE memberships")


async def _write_settings(writing: Writing) -> None:
    fields = ", ".join(SETTINGS_FIELDS)
    await writing.connection.execute(
        f"INSERT INTO training_settings (tenant_id, school_id, group_id, user_id, {fields})"
        " SELECT $1, CASE WHEN l.level = 'SCHOOL' THEN k.record_id END,"
        "  CASE WHEN l.level = 'GROUP' THEN k.record_id END,"
        "  CASE WHEN l.level = 'PERSON' THEN k.record_id END,"
        f" {', '.join(f'l.{name}' for name in SETTINGS_FIELDS)}"
        f" FROM {pair(SETTINGS, ()).rows} WHERE {IS_NEW} ON CONFLICT DO NOTHING",
        writing.tenant_id,
    )


async def _write_progress(writing: Writing) -> None:
    await writing.connection.execute(
        "INSERT INTO progress (tenant_id, user_id, group_id, school_year,"
        f" {', '.join(PROGRESS_FIELDS)})"
        " SELECT $1, p.record_id, g.record_id, y.school_year,"
        f" {', '.join(f'l.{name}' for name in PROGRESS_FIELDS)}"
        f" FROM {pair(PROGRESS, ()).rows} WHERE {IS_NEW} ON CONFLICT DO NOTHING",
        writing.tenant_id,
    )
