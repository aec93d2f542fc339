"""Whom mails go to: a tenant's contacts, and the product's own operators."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import set_tenant
from domain.notifications.notices import Notice
from domain.notifications.outbox import put_mails_once
from domain.people.models import Operator, OperatorRole
from domain.tenants.contacts import list_contacts
from domain.tenants.models import SummaryMail


async def tell_contacts(
    session: AsyncSession, *, tenant_id: UUID, notice: Notice, key: str
) -> None:
    """Everybody but those who want none: for what concerns no single run."""
    contacts = await list_contacts(session, tenant_id=tenant_id)
    recipients = [one.email for one in contacts if one.summary_mail is not SummaryMail.NEVER]
    await put_mails_once(session, tenant_id=tenant_id, mails=notice.to(recipients), key=key)


async def tell_operators(session: AsyncSession, *, notice: Notice, key: str) -> None:
    """Ends with no tenant set: a mail of theirs is no tenant's."""
    await set_tenant(session, None)
    mails = notice.to(await _operators(session))
    await put_mails_once(session, tenant_id=None, mails=mails, key=key)


async def _operators(session: AsyncSession) -> Sequence[str]:
    found = await session.scalars(
        select(Operator.email)
        .where(Operator.disabled_at.is_(None), Operator.role == OperatorRole.OPERATOR)
        .order_by(Operator.email)
    )
    return found.all()
