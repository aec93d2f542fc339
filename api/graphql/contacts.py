"""Contacts: who at a tenant receives mails about its syncs."""

from typing import Annotated, Any

import strawberry

from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.errors import UserError, user_errors
from api.graphql.node import Node
from api.graphql.permissions import Permitted
from api.graphql.targets import INPUT, tenant_of
from domain.errors import DomainError
from domain.tenants.contacts import MOST_CONTACTS, GivenContact, list_contacts, set_contacts
from domain.tenants.models import Delivery, SummaryMail

describe(
    SummaryMail,
    "Which syncs somebody is told of by mail.",
    ALWAYS="All of them.",
    ONLY_PROBLEMS="Those that failed, wait for somebody, found new errors or work again.",
    NEVER="None.",
)
describe(
    Delivery,
    "When somebody is told of syncs.",
    EACH_RUN="After each of them.",
    DAILY="In one mail a day, at seven in the morning of the tenant's clock.",
)


@strawberry.type(description="Somebody who receives mails about a tenant's syncs.")
class Contact:
    name: str = strawberry.field(description="The name.")
    email: str = strawberry.field(description="The email address.")
    summary_mail: SummaryMail = strawberry.field(description="Of which syncs.")
    delivery: Delivery = strawberry.field(description="When.")

    @classmethod
    def of(cls, row: Any) -> "Contact":
        return cls(
            name=row.name,
            email=row.email,
            summary_mail=row.summary_mail,
            delivery=row.delivery,
        )


async def contacts_of(parent: strawberry.Parent[Node], info: Info) -> list[Contact]:
    async with info.context.database.read(parent.tenant_id) as session:
        found = await list_contacts(session, tenant_id=parent.tenant_id)
    return [Contact.of(row) for row in found]


@strawberry.input(description="Somebody who is to receive mails about the tenant's syncs.")
class ContactInput:
    name: str = strawberry.field(description="The name: 1 to 200 characters.")
    email: str = strawberry.field(description="The email address.")
    summary_mail: SummaryMail = strawberry.field(
        default=SummaryMail.ALWAYS, description="Of which syncs."
    )
    delivery: Delivery = strawberry.field(default=Delivery.EACH_RUN, description="When.")


@strawberry.input(description="A tenant's contacts.")
class ContactsSetInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    contacts: list[ContactInput] = strawberry.field(
        description=f"All of them, at most {MOST_CONTACTS}: they take the place of the former "
        "ones. No two have the same address, whatever its case."
    )


@strawberry.type(description="The contacts as they are now.")
class ContactsSetPayload:
    contacts: list[Contact] = strawberry.field(
        default_factory=list,
        description="All of them, by their addresses; empty where it was refused.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type
class ContactMutation:
    @strawberry.mutation(
        description="Sets who receives mails about the tenant's syncs.",
        permission_classes=[Permitted],
    )
    async def contacts_set(
        self, info: Info, input: Annotated[ContactsSetInput, INPUT]
    ) -> ContactsSetPayload:
        context = info.context
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            given = [
                GivenContact(contact.name, contact.email, contact.summary_mail, contact.delivery)
                for contact in input.contacts
            ]
            async with context.database.transaction(tenant_id) as session:
                contacts = await set_contacts(
                    session, tenant_id=tenant_id, contacts=given, caller=context.caller
                )
        except DomainError as error:
            return ContactsSetPayload(user_errors=user_errors(error))
        return ContactsSetPayload(contacts=[Contact.of(row) for row in contacts])
