"""One-time links for files that go out: whoever has one gets the file once, within minutes."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import set_tenant
from domain.files.models import Export
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.people.tokens import hash_token
from domain.reach import Reach

LIFETIME = timedelta(minutes=10)


class ExportKind(StrEnum):
    VALIDATION_ERRORS = "VALIDATION_ERRORS"
    SYNC_CHANGES = "SYNC_CHANGES"
    ADMINS = "ADMINS"
    STAFF = "STAFF"


class Ticket(NamedTuple):
    """`secret` is shown this once: only its hash is stored."""

    secret: str
    expires_at: datetime


async def create_export(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    kind: ExportKind,
    choice: Mapping[str, Any],
    caller: Caller,
    now: datetime,
) -> Ticket:
    """`choice` says which rows, as whoever makes this kind reads it."""
    secret = secrets.token_urlsafe(32)
    export = Export(
        tenant_id=tenant_id,
        token_hash=hash_token(secret),
        kind=kind.value,
        choice=dict(choice),
        created_by=caller.actor,
        reach=caller.reach and caller.reach.stored(),
        expires_at=now + LIFETIME,
    )
    session.add(export)
    await session.flush()
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="exportCreate",
        target=str(export.id),
        details={"kind": kind.value, "choice": dict(choice)},
    )
    return Ticket(secret, export.expires_at)


async def claim_export(session: AsyncSession, secret: str) -> Export | None:
    """Uses the ticket up; the transaction is its tenant's from now on, and its asker's reach.

    None for one that is unknown, used or too old; the three are not told apart.
    """
    claimed = (
        await session.execute(
            text("SELECT tenant_id, export_id FROM claim_export(:hash)"),
            {"hash": hash_token(secret)},
        )
    ).first()
    if claimed is None:
        return None
    await set_tenant(session, claimed.tenant_id)
    export = (
        await session.scalars(
            select(Export).where(
                Export.tenant_id == claimed.tenant_id, Export.id == claimed.export_id
            )
        )
    ).one()
    await set_tenant(session, export.tenant_id, Reach.read(export.reach))
    return export
