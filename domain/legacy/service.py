"""Legacy import (product.md T10): who and what a tenant had before rostering, from CSV files.

It is an errand: a worker reads the upload, looks through it, and writes if that is asked for, all
in one transaction. The same files again change nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import utc_now
from domain.errors import Conflict, InvalidInput
from domain.files.imports import count_errors, count_wrong, list_errors, load
from domain.files.layouts import Layout
from domain.files.tables import open_table
from domain.files.uploads import UploadPurpose, forget_content, read_upload
from domain.integrations.models import Integration
from domain.legacy.checks import check
from domain.legacy.layouts import LAYOUTS, PROGRESS, SETTINGS
from domain.legacy.package import Package, open_package
from domain.legacy.staging import create_tables
from domain.legacy.stored import count, list_affiliations, list_years
from domain.legacy.writing import Writing, write
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.models import Origin, User
from domain.roster.source import RosterUnreadable

_MOST_WARNINGS: Final = 50


async def import_legacy(
    session: AsyncSession, tenant_id: UUID, asked: Mapping[str, Any], caller: Caller
) -> dict[str, Any]:
    """The errand LEGACY_IMPORT: `asked` has upload_id, apply and skip_errors.

    Nothing is done where there are errors that are not to be skipped; see
    `domain.files.imports.require_applied`.
    Raises InvalidInput where the upload cannot be read, and Conflict where the tenant is rostered
    already.
    """
    upload_id = UUID(asked["upload_id"])
    await _require_not_rostered(session, tenant_id)
    content = await read_upload(
        session, tenant_id=tenant_id, upload_id=upload_id, purpose=UploadPurpose.LEGACY_IMPORT
    )
    raw = await (await session.connection()).get_raw_connection()
    connection: asyncpg.Connection = raw.driver_connection
    try:
        with open_package(content) as package:
            report, present = await _look_through(connection, tenant_id, package)
    except RosterUnreadable as error:
        raise InvalidInput("uploadId", str(error)) from error
    if not asked["apply"] or (report["error_count"] and not asked["skip_errors"]):
        return report
    await write(Writing(connection, tenant_id, utc_now(), present))
    await forget_content(session, tenant_id=tenant_id, upload_id=upload_id)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="legacyImport",
        target=str(upload_id),
        details={file["name"]: file["new"] for file in report["files"]}
        | {"errors": report["error_count"]},
    )
    return report | {"is_applied": True}


async def _require_not_rostered(session: AsyncSession, tenant_id: UUID) -> None:
    """What becomes of accounts that are there is decided before the first roster, not after."""
    is_rostered = await session.scalar(
        select(
            or_(
                exists(Integration.id).where(
                    Integration.tenant_id == tenant_id, Integration.rostered_at.is_not(None)
                ),
                exists(User.id).where(User.tenant_id == tenant_id, User.origin == Origin.PROVIDER),
            )
        )
    )
    if is_rostered:
        raise Conflict(
            "A provider's roster has been applied already: what was there before can only be"
            " imported before the first sync."
        )


async def _look_through(
    connection: asyncpg.Connection, tenant_id: UUID, package: Package
) -> tuple[dict[str, Any], dict[Layout, Sequence[str]]]:
    """The report, and which columns each file has. The right rows are in their tables then."""
    await create_tables(connection, tenant_id)
    totals: dict[Layout, int] = {}
    present: dict[Layout, Sequence[str]] = {}
    warnings = [f"{name} is not read." for name in package.unread]
    for layout in LAYOUTS:
        if layout.file in package.files:
            with open_table(layout, package.files[layout.file]) as table:
                totals[layout] = await load(connection, table)
                present[layout] = tuple(table.columns)
                warnings += [
                    f"{layout.file}: the column {name[:60]!r} is not read." for name in table.unread
                ]
        await check(connection, tenant_id, layout)
    await list_affiliations(connection)
    await list_years(connection, tenant_id, utc_now())
    files = [
        await _tell(connection, tenant_id, layout, present[layout], totals[layout])
        for layout in totals
    ]
    new = {file["name"]: file["new"] for file in files}
    report = {
        "files": files,
        "errors": await list_errors(connection, LAYOUTS),
        "error_count": await count_errors(connection),
        "warnings": warnings[:_MOST_WARNINGS],
        "settings": new.get(SETTINGS.file, 0),
        "progress": new.get(PROGRESS.file, 0),
        "is_applied": False,
    }
    return report, present


async def _tell(
    connection: asyncpg.Connection,
    tenant_id: UUID,
    layout: Layout,
    present: Sequence[str],
    total: int,
) -> dict[str, Any]:
    numbers = await count(connection, tenant_id, layout, present)
    errors = await count_wrong(connection, layout)
    return {"name": layout.file, "rows": total, "errors": errors, **numbers._asdict()}
