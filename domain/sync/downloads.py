"""Taking rows along: who asks for which is noted, and the file is made while it goes out."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import utc_now
from domain.database import Database
from domain.files.exports import ExportKind
from domain.files.sheets import csv_chunks
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.sync.exports import (
    CHANGE_HEADER,
    ERROR_HEADER,
    ChangeChoice,
    ErrorChoice,
    change_rows,
    error_rows,
)
from domain.sync.service import get_run
from domain.tenants.service import get_tenant

Choice = ErrorChoice | ChangeChoice


class Download(NamedTuple):
    tenant_id: UUID
    choice: Choice
    file_name: str


async def begin_download(
    session: AsyncSession, *, tenant_id: UUID, choice: Choice, caller: Caller
) -> Download:
    """Audited. Raises NotFound where there is no such run."""
    tenant = await get_tenant(session, tenant_id=tenant_id)
    if isinstance(choice, ErrorChoice):
        kind, name = ExportKind.VALIDATION_ERRORS, f"validation-errors-{utc_now():%Y-%m-%d}"
    else:
        await get_run(session, tenant_id=tenant_id, run_id=choice.run_id)
        kind, name = ExportKind.SYNC_CHANGES, f"changes-{choice.run_id}"
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="exportDownload",
        target=kind.value,
        details=choice.as_json(),
    )
    return Download(tenant_id, choice, f"{tenant.slug}-{name}.csv")


async def csv_of(database: Database, download: Download) -> AsyncGenerator[bytes]:
    """The whole file as it was at one moment."""
    async with (
        database.snapshot(download.tenant_id) as session,
        aclosing(_rows(session, download)) as rows,
        aclosing(csv_chunks(_header(download.choice), rows)) as chunks,
    ):
        async for chunk in chunks:
            yield chunk


def _header(choice: Choice) -> Sequence[str]:
    return ERROR_HEADER if isinstance(choice, ErrorChoice) else CHANGE_HEADER


def _rows(session: AsyncSession, download: Download) -> AsyncGenerator[Sequence[str]]:
    tenant_id, choice, _ = download
    if isinstance(choice, ErrorChoice):
        return error_rows(session, tenant_id=tenant_id, choice=choice)
    return change_rows(session, tenant_id=tenant_id, choice=choice)
