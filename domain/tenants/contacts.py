"""Contacts: who at a tenant receives mails about its syncs."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import InvalidInput
from domain.people.addresses import check_email
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.tenants.models import Contact, Delivery, SummaryMail
from domain.tenants.service import check_name, get_tenant

MOST_CONTACTS: Final = 50


class GivenContact(NamedTuple):
    name: str
    email: str
    summary_mail: SummaryMail
    delivery: Delivery = Delivery.EACH_RUN


async def list_contacts(session: AsyncSession, *, tenant_id: UUID) -> Sequence[Contact]:
    """By their addresses."""
    contacts = await session.scalars(
        select(Contact).where(Contact.tenant_id == tenant_id).order_by(Contact.email)
    )
    return contacts.all()


async def set_contacts(
    session: AsyncSession, *, tenant_id: UUID, contacts: Sequence[GivenContact], caller: Caller
) -> Sequence[Contact]:
    """They take the place of the former ones. Raises InvalidInput."""
    await get_tenant(session, tenant_id=tenant_id)
    checked = _check(contacts)
    await session.execute(delete(Contact).where(Contact.tenant_id == tenant_id))
    session.add_all(Contact(tenant_id=tenant_id, **contact._asdict()) for contact in checked)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="contactsSet",
        details={"contacts": len(checked)},
    )
    await session.flush()
    return await list_contacts(session, tenant_id=tenant_id)


def _check(contacts: Sequence[GivenContact]) -> list[GivenContact]:
    """Addresses are alike whatever their case. Raises InvalidInput."""
    if len(contacts) > MOST_CONTACTS:
        raise InvalidInput("contacts", f"There are at most {MOST_CONTACTS} contacts.")
    checked: dict[str, GivenContact] = {}
    for index, contact in enumerate(contacts):
        field = f"contacts.{index}"
        check_name(f"{field}.name", contact.name)
        email = check_email(f"{field}.email", contact.email)
        if email.lower() in checked:
            raise InvalidInput(f"{field}.email", "This address is there twice.")
        checked[email.lower()] = contact._replace(name=contact.name.strip(), email=email)
    return list(checked.values())
