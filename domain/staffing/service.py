"""Admins and staff by CSV (product.md A2, A3): people who are in no provider's roster.

It is an errand: a worker reads the upload, says what would become of whom, and does it if that is
asked for, all in one transaction. The same file again changes nothing, and no sync touches them.
"""

import io
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import utc_now
from domain.errors import Conflict, InvalidInput
from domain.files.csv_text import find_delimiter
from domain.files.imports import (
    FOLDED,
    count_errors,
    count_wrong,
    create_errors,
    create_table,
    list_errors,
    load,
)
from domain.files.tables import open_table
from domain.files.uploads import forget_content, read_upload
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.source import RosterUnreadable
from domain.staffing.checks import check, check_last_admin
from domain.staffing.layouts import PEOPLE, STAGED, People, PeopleKind
from domain.staffing.planning import count, list_people, plan
from domain.staffing.writing import write

_ZIP: Final = b"PK\x03\x04"
_MOST_WARNINGS: Final = 50


async def import_people(
    session: AsyncSession, tenant_id: UUID, asked: Mapping[str, Any], caller: Caller
) -> dict[str, Any]:
    """The errand PEOPLE_IMPORT: upload_id, kind, apply, skip_errors and archive_missing.

    Nothing is done where there are errors that are not to be skipped; see
    `domain.files.imports.require_applied`. Raises InvalidInput or Conflict.
    """
    if asked["archive_missing"] and asked["skip_errors"]:
        raise InvalidInput(
            "archiveMissing", "Whose row is wrong would be missing: correct the file first."
        )
    upload_id = UUID(asked["upload_id"])
    people = PEOPLE[PeopleKind(asked["kind"])]
    content = await read_upload(
        session, tenant_id=tenant_id, upload_id=upload_id, purpose=people.purpose
    )
    raw = await (await session.connection()).get_raw_connection()
    connection: asyncpg.Connection = raw.driver_connection
    looked = await _look_through(
        Work(connection, tenant_id, people), content, archives_others=asked["archive_missing"]
    )
    report = looked.report
    if not asked["apply"] or (report["error_count"] and not asked["skip_errors"]):
        return report
    if not looked.keeps_admin:
        raise Conflict(
            "Nobody here would be a district admin any more: keep one in the file who is enabled.",
            field="skipErrors",
        )
    await write(connection, tenant_id, present=looked.present, now=utc_now())
    await forget_content(session, tenant_id=tenant_id, upload_id=upload_id)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action=people.action,
        target=str(upload_id),
        details=report["counts"] | {"errors": report["error_count"]},
    )
    return report | {"is_applied": True}


class Work(NamedTuple):
    """The file of which kind goes into which tenant."""

    connection: asyncpg.Connection
    tenant_id: UUID
    people: People


class Looked(NamedTuple):
    """What was found. `present` are the columns that the file has."""

    report: dict[str, Any]
    present: Collection[str]
    keeps_admin: bool


async def _look_through(work: Work, content: bytes, *, archives_others: bool) -> Looked:
    """The right rows, and what becomes of them, are in their tables then. Raises InvalidInput."""
    connection, tenant_id, people = work
    # Whole sets are joined here, and nothing is known yet of tables that were filled just now.
    await connection.execute("SET LOCAL enable_nestloop = off")
    await create_errors(connection)
    await create_table(connection, people.layout)
    await connection.execute(
        f"ALTER TABLE {STAGED} ADD username_key text"
        f" GENERATED ALWAYS AS ({FOLDED.format('username')}) STORED"
    )
    loaded = await _load(work, content)
    if archives_others and not loaded.rows:
        raise InvalidInput("archiveMissing", "There is nobody in the file.")
    await check(connection, tenant_id, people, archives_others=archives_others)
    warnings = loaded.warnings[:_MOST_WARNINGS]
    if archives_others and await count_errors(connection):
        archives_others = False
        warnings.append("Who is missing from the file is told once no row is wrong.")
    present = loaded.present
    await plan(connection, tenant_id, people, present=present, archives_others=archives_others)
    wrong = await count_wrong(connection, people.layout)
    keeps_admin = await check_last_admin(
        connection, tenant_id, people, has_enabled="is_enabled" in present
    )
    report = {
        "kind": people.kind.value,
        "rows": loaded.rows,
        "wrong": wrong,
        "counts": await count(connection),
        "people": await list_people(connection),
        "errors": await list_errors(connection, [people.layout]),
        "error_count": await count_errors(connection),
        "warnings": warnings,
        "is_applied": False,
    }
    return Looked(report, present, keeps_admin)


class Loaded(NamedTuple):
    rows: int
    present: Collection[str]
    warnings: list[str]


async def _load(work: Work, content: bytes) -> Loaded:
    """Raises InvalidInput where the file cannot be read."""
    if content.startswith(_ZIP):
        raise InvalidInput(
            "uploadId", "This is a workbook or a zip file: save the sheet as CSV in UTF-8."
        )
    delimiter = find_delimiter(content)
    open_bytes = partial(io.BytesIO, content)
    try:
        with open_table(work.people.layout, open_bytes, delimiter=delimiter) as table:
            unread = [f"The column {name[:60]!r} is not read." for name in table.unread]
            rows = await load(work.connection, table)
            return Loaded(rows, tuple(table.columns), unread)
    except RosterUnreadable as error:
        raise InvalidInput("uploadId", str(error)) from error
