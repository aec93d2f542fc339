"""Invitations: mails with a link by which imported people set a password."""

from typing import Annotated
from uuid import UUID

import strawberry

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.node import find_id, load
from api.graphql.permissions import Permitted
from api.graphql.roster import User
from api.graphql.targets import INPUT, node_of
from domain.clock import utc_now
from domain.errors import DomainError, InvalidInput
from domain.people.callers import Caller
from domain.signing_in.invitations import MOST_PEOPLE, Invitations, invite_people


@strawberry.input(description="Who is invited to set a password.")
class InvitationSendInput:
    user_ids: list[strawberry.ID] = strawberry.field(
        description=f"People who were imported, 1 to {MOST_PEOPLE}, all of one tenant."
    )
    email: str | None = strawberry.field(
        default=None,
        description="For one person: where the mail goes, in place of the roster's address. It "
        "is used this once, and the sign-in is by the username all the same.",
    )


@strawberry.type(description="Who is invited.")
class InvitationSendPayload:
    users: list[User] = strawberry.field(
        default_factory=list,
        description="Those whose mail is on its way; a former invitation of theirs is void.",
        permission_classes=[Permitted],
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list,
        description="Who is not invited, by the place in the input, and why; the others are.",
    )


def _people(ids: list[strawberry.ID], caller: Caller) -> tuple[UUID, list[UUID]]:
    """Their tenant and their keys. Raises a DomainError."""
    if not ids:
        raise InvalidInput("userIds", "Name somebody.")
    first = node_of(ids[0], User, "userIds.0", caller)
    keys = [first.key]
    for index, text in enumerate(ids[1 : MOST_PEOPLE + 1], start=1):
        found = node_of(text, User, f"userIds.{index}", caller, tenant_id=first.tenant_id)
        keys.append(found.key)
    return first.tenant_id, keys


def _errors(done: Invitations, input: InvitationSendInput) -> list[UserError]:
    """Each at the first place at which the person is named."""
    errors = []
    keys = [found.key for text in input.user_ids if (found := find_id(text))]
    for user_id, error in done.refused.items():
        [said] = user_errors(error)
        said.field = ["input", "userIds", str(keys.index(user_id))]
        errors.append(said)
    return errors


@strawberry.type
class InvitationMutation:
    @strawberry.mutation(
        description="Mails people who were imported a link, good for a week, by which they set "
        "a password. People whom the provider shares sign in with the provider.",
        permission_classes=[Permitted],
    )
    async def invitation_send(
        self, info: Info, input: Annotated[InvitationSendInput, INPUT]
    ) -> InvitationSendPayload:
        context = info.context
        try:
            tenant_id, keys = _people(input.user_ids, context.caller)
            async with context.database.transaction(tenant_id) as session:
                done = await invite_people(
                    session,
                    tenant_id=tenant_id,
                    user_ids=keys,
                    email=input.email,
                    caller=context.caller,
                    public_url=context.public_url,
                    now=utc_now(),
                )
        except DomainError as error:
            return InvitationSendPayload(user_errors=user_errors(error))
        users = [await load(info, User, tenant_id, key) for key in done.invited]
        return InvitationSendPayload(
            users=[user for user in users if user], user_errors=_errors(done, input)
        )
