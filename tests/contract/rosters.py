"""What is stored of a roster in a normal form: by the ids of the files, whoever gave it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg

from domain.roster.source import Provider
from tests.fakes.district import Folder, clever_id

Fields = dict[str, Any]
Stored = dict[str, dict[Any, Fields]]
"""Fields by natural key, by table."""
Translate = Callable[[str, str], str]
"""From the kind of a record and its id at the provider to its id in the files."""

_SQL: Final = {
    "schools": (
        "SELECT source_id, name, number, parent_source_id, archived_at IS NULL AS is_live"
        " FROM schools WHERE tenant_id = $1"
    ),
    "terms": (
        "SELECT source_id, name, kind, starts_on, ends_on, parent_source_id,"
        " archived_at IS NULL AS is_live FROM terms WHERE tenant_id = $1"
    ),
    "courses": (
        "SELECT source_id, name, code, subjects, archived_at IS NULL AS is_live FROM courses"
        " WHERE tenant_id = $1"
    ),
    "groups": (
        "SELECT r.source_id, s.source_id AS school, c.source_id AS course, r.name,"
        " r.term_source_ids, r.starts_on, r.ends_on, r.code, r.kind, r.period, r.grades,"
        " r.subjects, r.archived_at IS NULL AS is_live FROM groups r"
        " JOIN schools s ON s.tenant_id = $1 AND s.id = r.school_id"
        " LEFT JOIN courses c ON c.tenant_id = $1 AND c.id = r.course_id WHERE r.tenant_id = $1"
    ),
    "users": (
        "SELECT r.source_id, username, username_key, given_name, family_name,"
        " preferred_given_name, preferred_family_name, email, number, roles, grades, is_enabled,"
        " is_eligible, keys, archived_at IS NULL AS is_live, ARRAY("
        "  SELECT s.source_id FROM school_affiliations a"
        "  JOIN schools s ON s.tenant_id = $1 AND s.id = a.school_id"
        "  WHERE a.tenant_id = $1 AND a.user_id = r.id ORDER BY a.position) AS schools"
        " FROM users r WHERE tenant_id = $1"
    ),
    "memberships": (
        "SELECT u.source_id AS user, g.source_id AS group, m.role,"
        " m.archived_at IS NULL AS is_live, ARRAY("
        "  SELECT ROW(p.source_id, p.begins_on, p.ends_on, p.is_primary) FROM membership_spans p"
        "  WHERE p.tenant_id = $1 AND p.membership_id = m.id) AS spans"
        " FROM memberships m JOIN users u ON u.tenant_id = $1 AND u.id = m.user_id"
        " JOIN groups g ON g.tenant_id = $1 AND g.id = m.group_id WHERE m.tenant_id = $1"
    ),
}
_KINDS: Final = {
    "schools": "school",
    "terms": "term",
    "courses": "course",
    "groups": "section",
    "users": "user",
}
_FILES: Final = {
    "school": "orgs",
    "term": "academicSessions",
    "course": "courses",
    "section": "classes",
    "user": "users",
}


def translator(provider: Provider, *nights: Path) -> Translate:
    """Only Clever has ids of its own. An id of nobody in the files stays as it is."""
    if provider is not Provider.CLEVER:
        return lambda _, source_id: source_id
    own = {
        (kind, clever_id(kind, row["sourcedId"])): row["sourcedId"]
        for folder in nights
        for kind, file in _FILES.items()
        for row in Folder(folder).current().rows(file)
    }
    return lambda kind, source_id: own.get((kind, source_id), source_id)


async def read_stored(
    see: asyncpg.Connection, tenant_id: UUID, translate: Translate = lambda _, source_id: source_id
) -> Stored:
    stored: Stored = {}
    for table, sql in _SQL.items():
        rows = [dict(row) for row in await see.fetch(sql, tenant_id)]
        stored[table] = dict(_normal(table, row, translate) for row in rows)
        assert len(stored[table]) == len(rows), f"the same natural key twice in {table}"
    return stored


def _normal(table: str, row: Fields, translate: Translate) -> tuple[Any, Fields]:
    for field, kind in (
        ("school", "school"),
        ("course", "course"),
        ("user", "user"),
        ("group", "section"),
    ):
        if row.get(field):
            row[field] = translate(kind, row[field])
    for field, kind in (("term_source_ids", "term"), ("schools", "school")):
        if field in row:
            row[field] = [translate(kind, source_id) for source_id in row[field]]
    if row.get("parent_source_id"):
        row["parent_source_id"] = translate(_KINDS[table], row["parent_source_id"])
    if table == "memberships":
        spans = sorted((tuple(span) for span in row.pop("spans")), key=str)
        row["enrollment_ids"] = [source_id for source_id, *_ in spans]
        row["spans"] = sorted((tuple(span[1:]) for span in spans), key=str)
        return (row.pop("user"), row.pop("group"), row.pop("role")), row
    return translate(_KINDS[table], row.pop("source_id")), row


def differences(wanted: Stored, found: Stored) -> list[str]:
    """In words, one for each field of each record that is not the same."""
    told: list[str] = []
    for table in wanted.keys() | found.keys():
        ours, theirs = wanted[table], found[table]
        told += [f"{table}: no {key}" for key in ours.keys() - theirs.keys()]
        told += [f"{table}: also {key}" for key in theirs.keys() - ours.keys()]
        told += [
            f"{table} {key}: {name} is {theirs[key].get(name)!r}, not {value!r}"
            for key in ours.keys() & theirs.keys()
            for name, value in ours[key].items()
            if theirs[key].get(name) != value
        ]
    return sorted(told)
