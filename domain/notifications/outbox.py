"""The outbox: a mail is written in the transaction that is its reason, and sent by a worker."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import new_id
from domain.jobs import MAIL, enqueue
from domain.notifications.mails import Mail
from domain.notifications.models import MailOutbox


def put_mail(session: AsyncSession, *, tenant_id: UUID, mail: Mail) -> None:
    """Written with the rest of the transaction, which may not read it back."""
    session.add(MailOutbox(**_row(tenant_id, mail)))
    enqueue(session, MAIL)


async def put_mails_once(
    session: AsyncSession, *, tenant_id: UUID | None, mails: Sequence[Mail], key: str
) -> None:
    """Of all that is ever put with this key, each recipient gets the first alone.

    Without a tenant for the product's own side, in a transaction that has set none.
    """
    if not mails:
        return
    rows = [_row(tenant_id, mail) | {"once_key": key} for mail in mails]
    await session.execute(insert(MailOutbox).values(rows).on_conflict_do_nothing())
    enqueue(session, MAIL)


def _row(tenant_id: UUID | None, mail: Mail) -> dict[str, Any]:
    return {
        "id": new_id(),
        "tenant_id": tenant_id,
        "kind": mail.kind,
        "recipient": mail.recipient,
        "subject": mail.subject,
        "body_text": mail.text,
        "body_html": mail.html,
    }
