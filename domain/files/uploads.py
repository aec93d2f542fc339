"""Tickets for files that come in: whoever has one puts one file there, within the hour."""

import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import set_tenant
from domain.errors import Conflict, InvalidInput
from domain.files.archives import MIB
from domain.files.models import Upload
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.people.tokens import hash_token

LIFETIME: Final = timedelta(hours=1)
"""For the file to come, and again for it to be used once it has."""
MAX_SIZE: Final = 64 * MIB


class UploadPurpose(StrEnum):
    LEGACY_IMPORT = "LEGACY_IMPORT"
    ADMINS_IMPORT = "ADMINS_IMPORT"
    STAFF_IMPORT = "STAFF_IMPORT"


class UploadTicket(NamedTuple):
    """`secret` is shown this once: only its hash is stored."""

    upload_id: UUID
    secret: str
    expires_at: datetime


class Place(NamedTuple):
    """Where a file goes."""

    tenant_id: UUID
    upload_id: UUID


async def request_upload(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    purpose: UploadPurpose,
    caller: Caller,
    now: datetime,
) -> UploadTicket:
    secret = secrets.token_urlsafe(32)
    upload = Upload(
        tenant_id=tenant_id,
        token_hash=hash_token(secret),
        purpose=purpose.value,
        created_by=caller.actor,
        expires_at=now + LIFETIME,
    )
    session.add(upload)
    await session.flush()
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="uploadCreate",
        target=str(upload.id),
        details={"purpose": purpose.value},
    )
    return UploadTicket(upload.id, secret, upload.expires_at)


async def find_place(session: AsyncSession, secret: str) -> Place | None:
    """None for a ticket that is unknown, used or too old; the three are not told apart."""
    row = (
        await session.execute(
            text("SELECT tenant_id, upload_id FROM find_upload(:hash)"),
            {"hash": hash_token(secret)},
        )
    ).one_or_none()
    return Place(row.tenant_id, row.upload_id) if row else None


async def receive_upload(
    session: AsyncSession, place: Place, *, content: bytes, now: datetime
) -> bool:
    """Store the file; the ticket is used up by that. False: another file came before."""
    await set_tenant(session, place.tenant_id)
    row = Upload
    stored = await session.execute(
        update(row)
        .where(
            row.tenant_id == place.tenant_id,
            row.id == place.upload_id,
            row.received_at.is_(None),
        )
        .values(content=content, received_at=now, expires_at=now + LIFETIME)
        .returning(row.id)
    )
    return stored.first() is not None


async def read_upload(
    session: AsyncSession, *, tenant_id: UUID, upload_id: UUID, purpose: UploadPurpose
) -> bytes:
    """Raises InvalidInput or Conflict."""
    row = Upload
    found = (
        await session.execute(
            select(row.content, row.received_at).where(
                row.tenant_id == tenant_id, row.id == upload_id, row.purpose == purpose.value
            )
        )
    ).one_or_none()
    if found is None:
        raise InvalidInput(
            "uploadId", "There is no such upload for this, or it is over. Ask for another one."
        )
    if found.received_at is None:
        raise Conflict("The file has not come yet: put it to the upload's url.", field="uploadId")
    if found.content is None:
        raise Conflict("This file was used already; upload it again.", field="uploadId")
    content: bytes = found.content
    return content


async def forget_content(session: AsyncSession, *, tenant_id: UUID, upload_id: UUID) -> None:
    """Of a file that was used."""
    await session.execute(
        update(Upload)
        .where(Upload.tenant_id == tenant_id, Upload.id == upload_id)
        .values(content=None)
    )
