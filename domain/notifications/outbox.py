"""The outbox: a mail is written in the transaction that is its reason, and sent by a worker."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import new_id
from domain.jobs import MAIL, enqueue
from domain.notifications.mails import Mail
from domain.notifications.models import MailOutbox


def put_mail(session: AsyncSession, *, tenant_id: UUID, mail: Mail) -> None:
    """Written with the rest of the transaction, which may not read it back."""
    session.add(
        MailOutbox(
            id=new_id(),
            tenant_id=tenant_id,
            kind=mail.kind,
            recipient=mail.recipient,
            subject=mail.subject,
            body_text=mail.text,
            body_html=mail.html,
        )
    )
    enqueue(session, MAIL)
