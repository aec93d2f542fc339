"""The files' rows beside what is stored of them: what is new, what is there, what differs."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from domain.files.layouts import Layout
from domain.legacy.checks import LEVELS
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
from domain.training.progress import DECLARED, years_between

_SAMPLES: Final = 3


class Pairing(NamedTuple):
    """`rows`: SQL for the rows `l` with their ids resolved, and what is stored of them as `r`.

    `compared` are what they differ in, as pairs of SQL, by the column of the file.
    """

    rows: str
    compared: dict[str, tuple[str, str]]

    @property
    def differs(self) -> str:
        ours, theirs = zip(*self.compared.values(), strict=True)
        return f"ROW({', '.join(ours)}) IS DISTINCT FROM ROW({', '.join(theirs)})"


IS_NEW: Final = "r.tenant_id IS NULL"
_PERSON = "JOIN legacy_ids p ON p.record_type = 'USER' AND p.id = l.person_id"
_GROUP = "JOIN legacy_ids g ON g.record_type = 'GROUP' AND g.id = l.group_id"
_RECORD = (
    "{staged} l JOIN legacy_ids k ON k.record_type = '{record_type}' AND k.id = l.id {more}"
    " LEFT JOIN {stored} r ON r.tenant_id = $1 AND r.id = k.record_id"
)
_LEVELS = " ".join(f"WHEN '{level}' THEN '{kind.value}'" for level, kind in LEVELS.items())
_ROWS: Final = {
    SCHOOLS: _RECORD,
    GROUPS: _RECORD.replace(
        "{more}", "JOIN legacy_ids s ON s.record_type = 'SCHOOL' AND s.id = l.school_id"
    ),
    PEOPLE: _RECORD,
    MEMBERSHIPS: (
        f"legacy_memberships l {_PERSON} {_GROUP}"
        " LEFT JOIN memberships r ON r.tenant_id = $1"
        "  AND r.user_id = p.record_id AND r.group_id = g.record_id AND r.role = l.role"
    ),
    SETTINGS: (
        "legacy_settings l LEFT JOIN legacy_ids k"
        f" ON k.id = l.id AND k.record_type = CASE l.level {_LEVELS} END"
        " LEFT JOIN training_settings r ON r.tenant_id = $1"
        "  AND coalesce(r.school_id, r.group_id, r.user_id, $1) = coalesce(k.record_id, $1)"
    ),
    PROGRESS: (
        f"legacy_progress l {_PERSON} {_GROUP} JOIN legacy_years y ON y.line = l.line"
        " LEFT JOIN progress r ON r.tenant_id = $1 AND r.user_id = p.record_id"
        "  AND r.group_id = g.record_id AND r.school_year = y.school_year"
    ),
}
_STORED_SCHOOLS: Final = (
    "(SELECT array_agg(a.school_id ORDER BY a.position) FROM school_affiliations a"
    " WHERE a.tenant_id = $1 AND a.user_id = r.id)"
)
_SCHOOLS: Final = (
    "(SELECT array_agg(a.school_id ORDER BY a.position) FROM legacy_affiliations a"
    " WHERE a.user_id = k.record_id)"
)


def pair(layout: Layout, present: Collection[str]) -> Pairing:
    """Columns that a file does not have are not compared, and not changed."""
    rows = _ROWS[layout].format(
        staged=layout.staged,
        record_type=layout.record_type and layout.record_type.value,
        stored=layout.stored,
        more="",
    )
    fields = [column.field for column in layout.columns if column.field and column.name in present]
    if layout in (SETTINGS, PROGRESS):
        of_layout = SETTINGS_FIELDS if layout is SETTINGS else PROGRESS_FIELDS
        fields = [name for name in of_layout if name in present]
    compared = {name: (f"r.{name}", f"l.{name}") for name in fields}
    if layout is GROUPS:
        compared["school_id"] = ("r.school_id", "s.record_id")
    if layout is PEOPLE and "school_ids" in present:
        compared["school_ids"] = (_STORED_SCHOOLS, _SCHOOLS)
    return Pairing(rows, compared)


async def list_affiliations(connection: asyncpg.Connection) -> None:
    """Puts everybody's schools into a table, in their order."""
    await connection.execute(
        "CREATE TEMPORARY TABLE legacy_affiliations ON COMMIT DROP AS"
        " SELECT k.record_id AS user_id, s.record_id AS school_id, n.n AS position"
        " FROM legacy_people l JOIN legacy_ids k ON k.record_type = 'USER' AND k.id = l.id"
        " CROSS JOIN unnest(l.school_ids) WITH ORDINALITY n (id, n)"
        " JOIN legacy_ids s ON s.record_type = 'SCHOOL' AND s.id = n.id;"
        "CREATE INDEX ON legacy_affiliations (user_id);"
        "ANALYZE legacy_affiliations"
    )


async def list_years(connection: asyncpg.Connection, tenant_id: UUID, now: datetime) -> None:
    """Puts the school year of each row of progress into a table: when it was trained last.

    Where that is not said, it is the latest year that is stored, so that the same file changes
    nothing another year either; or else this one.
    """
    first, last = await connection.fetchrow(
        "SELECT coalesce(min(last_active_at), $1), greatest(max(last_active_at), $1)"
        " FROM legacy_progress",
        now,
    )
    zone, declared = await connection.fetchrow(f"{DECLARED} WHERE t.id = $1", tenant_id)
    years = years_between(first, last, zone=zone, declared=declared)
    year = years.of("coalesce(l.last_active_at, $2)", zone="$3", days="$4")
    await connection.execute(
        "CREATE TEMPORARY TABLE legacy_years (line int PRIMARY KEY, school_year int) ON COMMIT DROP"
    )
    await connection.execute(
        "INSERT INTO legacy_years SELECT l.line,"
        f" CASE WHEN l.last_active_at IS NULL THEN coalesce(r.school_year, {year}) ELSE {year} END"
        f" FROM legacy_progress l {_PERSON} {_GROUP} LEFT JOIN (SELECT user_id, group_id,"
        "   max(school_year) AS school_year FROM progress WHERE tenant_id = $1 GROUP BY 1, 2) r"
        "  ON r.user_id = p.record_id AND r.group_id = g.record_id",
        tenant_id,
        now,
        zone,
        years.days,
    )
    await connection.execute("ANALYZE legacy_years")


class Numbers(NamedTuple):
    """Of the rows of a file that are right."""

    new: int
    existing: int
    changed: int
    samples: list[str]


async def count(
    connection: asyncpg.Connection, tenant_id: UUID, layout: Layout, present: Collection[str]
) -> Numbers:
    pairing = pair(layout, present)
    changed = "0"
    if pairing.compared:
        is_ours = "r.origin = 'LEGACY' AND r.archived_at IS NULL AND " if layout.record_type else ""
        changed = f"count(*) FILTER (WHERE NOT {IS_NEW} AND {is_ours}{pairing.differs})"
    row = await connection.fetchrow(
        f"SELECT count(*) FILTER (WHERE {IS_NEW}), count(*) FILTER (WHERE NOT {IS_NEW}), {changed}"
        f" FROM {pairing.rows} WHERE $1::uuid IS NOT NULL",
        tenant_id,
    )
    shown = ", ".join(_shown(layout, name) for name in present)
    samples = await connection.fetch(
        f"SELECT concat_ws(', ', {shown}) FROM {pairing.rows} WHERE {IS_NEW}"
        f" AND $1::uuid IS NOT NULL ORDER BY l.line LIMIT {_SAMPLES}",
        tenant_id,
    )
    new, existing, differing = row
    return Numbers(new, existing, differing, [sample[0] for sample in samples])


def _shown(layout: Layout, name: str) -> str:
    [column] = [column for column in layout.columns if column.name == name]
    return f"array_to_string(l.{name}, ';')" if column.type == "text[]" else f"l.{name}"
