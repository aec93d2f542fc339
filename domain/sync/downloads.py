"""Taking validation errors or changes along as a sheet; who asks for which is noted."""

from functools import partial
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import utc_now
from domain.files.downloads import Download
from domain.files.exports import ExportKind
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


async def begin_download(
    session: AsyncSession, *, tenant_id: UUID, choice: Choice, caller: Caller
) -> Download:
    """Audited. Raises NotFound where there is no such run."""
    tenant = await get_tenant(session, tenant_id=tenant_id)
    if isinstance(choice, ErrorChoice):
        kind, name = ExportKind.VALIDATION_ERRORS, f"validation-errors-{utc_now():%Y-%m-%d}"
        rows = partial(error_rows, tenant_id=tenant_id, choice=choice)
    else:
        await get_run(session, tenant_id=tenant_id, run_id=choice.run_id)
        kind, name = ExportKind.SYNC_CHANGES, f"changes-{choice.run_id}"
        rows = partial(change_rows, tenant_id=tenant_id, choice=choice)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="exportDownload",
        target=kind.value,
        details=choice.as_json(),
    )
    header = ERROR_HEADER if isinstance(choice, ErrorChoice) else CHANGE_HEADER
    return Download(tenant_id, f"{tenant.slug}-{name}.csv", header, rows, caller.reach)
