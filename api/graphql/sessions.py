"""Sessions: where a person is signed in, and ending that."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.node import GlobalId, encode_id, find_id
from api.graphql.permissions import Permitted
from api.graphql.roster import User
from api.graphql.targets import INPUT, node_of
from domain.clock import utc_now
from domain.errors import DomainError, InvalidInput, NotFound
from domain.people.callers import Caller
from domain.people.models import SignInMethodName
from domain.people.session_acts import (
    MOST_SESSIONS,
    list_own_sessions,
    revoke_session,
    revoke_sessions,
)

SESSION_CODE = "W"
OWN_SESSIONS = f"Where the person is signed in, the latest first, at most {MOST_SESSIONS}."


@strawberry.type(description="Somewhere that a person is signed in.")
class Session:
    id: strawberry.ID = strawberry.field(description="For `sessionRevoke`; it is no node.")
    method: SignInMethodName = strawberry.field(description="How the person signed in.")
    created_at: datetime = strawberry.field(description="When the person signed in.")
    last_seen_at: datetime = strawberry.field(
        description="When it was used last, give or take a minute."
    )
    expires_at: datetime = strawberry.field(
        description="When it ends in any case; without use it ends before."
    )
    client: str | None = strawberry.field(
        description="The browser, in the words with which it introduces itself."
    )
    is_current: bool = strawberry.field(description="Whether it is the one that asks.")

    @classmethod
    def of(cls, row: Any, caller: Caller) -> "Session":
        return cls(
            id=encode_id(SESSION_CODE, row.tenant_id, row.id),
            method=row.method,
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
            expires_at=row.expires_at,
            client=row.client,
            is_current=row.id == caller.session_id,
        )


async def own_sessions(info: Info) -> list[Session]:
    """None of a token."""
    caller = info.context.caller
    if not caller.is_person:
        return []
    async with info.context.database.read(caller.tenant_id) as session:
        rows = await list_own_sessions(session, caller=caller, now=utc_now())
    return [Session.of(row, caller) for row in rows]


async def own_session(info: Info) -> Session | None:
    found = [session for session in await own_sessions(info) if session.is_current]
    return found[0] if found else None


@strawberry.input(description="Where a person is not to be signed in any more.")
class SessionRevokeInput:
    session_id: strawberry.ID = strawberry.field(description="One of the viewer's own sessions.")


@strawberry.type(description="The viewer's sessions as they are now.")
class SessionRevokePayload:
    sessions: list[Session] = strawberry.field(
        default_factory=list, description=f"{OWN_SESSIONS} Empty where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(description="Who is not to be signed in anywhere any more.")
class SessionsRevokeAllInput:
    user_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The person: for administrators. If left out, the viewer; the session that "
        "asks goes on.",
    )


@strawberry.type(description="How many sessions have ended.")
class SessionsRevokeAllPayload:
    revoked: int | None = strawberry.field(
        default=None, description="How many; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


def _session_of(id: str, caller: Caller) -> GlobalId:
    """Raises InvalidInput, and NotFound for another tenant's."""
    found = find_id(id)
    if found is None or found.code != SESSION_CODE:
        raise InvalidInput("sessionId", "This is not the id of a session.")
    if caller.tenant_id != found.tenant_id:
        raise NotFound("session", found.key)
    return found


def _whose(id: str | None, caller: Caller) -> tuple[UUID, UUID | None]:
    """The tenant, and the person where one is named. Raises a DomainError."""
    if id is not None:
        found = node_of(id, User, "userId", caller)
        return found.tenant_id, found.key
    if caller.tenant_id is None:
        raise InvalidInput("userId", "A token has no sessions: name a person.")
    return caller.tenant_id, None


@strawberry.type
class SessionMutation:
    @strawberry.mutation(
        description="Ends one of the viewer's own sessions; its next request is not signed in.",
        permission_classes=[Permitted],
    )
    async def session_revoke(
        self, info: Info, input: Annotated[SessionRevokeInput, INPUT]
    ) -> SessionRevokePayload:
        context = info.context
        try:
            found = _session_of(input.session_id, context.caller)
            async with context.database.transaction(found.tenant_id) as session:
                await revoke_session(
                    session,
                    tenant_id=found.tenant_id,
                    session_id=found.key,
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return SessionRevokePayload(user_errors=user_errors(error))
        return SessionRevokePayload(sessions=await own_sessions(info))

    @strawberry.mutation(
        description="Ends all other sessions of the viewer, or all of a person: after a lost "
        "device or a password that somebody else knows.",
        permission_classes=[Permitted],
    )
    async def sessions_revoke_all(
        self, info: Info, input: Annotated[SessionsRevokeAllInput, INPUT]
    ) -> SessionsRevokeAllPayload:
        context = info.context
        try:
            tenant_id, user_id = _whose(input.user_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                revoked = await revoke_sessions(
                    session,
                    tenant_id=tenant_id,
                    user_id=user_id,
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return SessionsRevokeAllPayload(user_errors=user_errors(error))
        return SessionsRevokeAllPayload(revoked=revoked)
