"""What the commands that import files share: the file, the errand, and what is said of errors."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.cli.asking import tenant_of
from api.cli.console import CommandError, say, settings_for_a_person, tell
from api.errands import settle_errand
from api.site import Site, open_site, prepare
from domain.clock import utc_now
from domain.database import DatabaseRole
from domain.errands.models import ErrandKind
from domain.files.archives import MIB
from domain.files.uploads import MAX_SIZE, Place, UploadPurpose, receive_upload, request_upload
from domain.people.callers import COMMAND_LINE


def read_file(path: Path) -> bytes:
    """Raises CommandError."""
    return checked_size(path.read_bytes(), path)


def checked_size(content: bytes, path: Path) -> bytes:
    """Raises CommandError."""
    if len(content) > MAX_SIZE:
        raise CommandError(f"{path} is too large: an import has at most {MAX_SIZE // MIB} MiB.")
    return content


def run_import(
    slug: str,
    content: bytes,
    *,
    purpose: UploadPurpose,
    kind: ErrandKind,
    asked: Mapping[str, Any],
) -> dict[str, Any]:
    """The report. Raises the DomainError that the import is refused with."""
    with open_site(settings_for_a_person()) as site:
        return asyncio.run(_run(site, slug, content, purpose=purpose, kind=kind, asked=asked))


async def _run(
    site: Site,
    slug: str,
    content: bytes,
    *,
    purpose: UploadPurpose,
    kind: ErrandKind,
    asked: Mapping[str, Any],
) -> dict[str, Any]:
    await prepare(site)
    now = utc_now()
    async with site.resources(DatabaseRole.API) as resources:
        database = resources.database
        tenant_id = await tenant_of(database, slug)
        async with database.transaction(tenant_id) as session:
            ticket = await request_upload(
                session, tenant_id=tenant_id, purpose=purpose, caller=COMMAND_LINE, now=now
            )
            place = Place(tenant_id, ticket.upload_id)
            await receive_upload(session, place, content=content, now=now)
        return await settle_errand(
            site,
            database,
            tenant_id=tenant_id,
            kind=kind,
            asked={"upload_id": str(ticket.upload_id), **asked},
            say=say,
        )


def tell_errors(report: Mapping[str, Any]) -> None:
    for error in report["errors"]:
        column = f", {error['column']}" if error["column"] else ""
        tell(f"{error['file']} line {error['line']}{column}: {error['message']}")
    if (more := report["error_count"] - len(report["errors"])) > 0:
        tell(f"And {more:,} more errors.")
    for warning in report["warnings"]:
        tell(f"Note: {warning}")
