"""Inviting several people at once: who can be invited is, and of the others it is said why not."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, DomainError, InvalidInput
from domain.people.addresses import check_email
from domain.people.callers import Caller
from domain.people.models import Account
from domain.signing_in.links import create_invitation

MOST_PEOPLE: Final = 100


class Invitations(NamedTuple):
    """Whom a mail is on its way to, and why to the others it is not."""

    invited: list[UUID]
    refused: dict[UUID, DomainError]


async def invite_people(  # noqa: PLR0913 - who is invited, by whom, and where the link leads
    session: AsyncSession,
    *,
    tenant_id: UUID,
    user_ids: Sequence[UUID],
    email: str | None,
    caller: Caller,
    public_url: str,
    now: datetime,
) -> Invitations:
    """`email` takes the place of the roster's address, for one person. Raises InvalidInput."""
    if not 1 <= len(user_ids) <= MOST_PEOPLE:
        raise InvalidInput("userIds", f"Name 1 to {MOST_PEOPLE} people.")
    if email is not None:
        email = check_email("email", email)
        if len(set(user_ids)) > 1:
            raise InvalidInput("email", "An address goes with one person.")
    await _take_turn(session, tenant_id)
    done = Invitations([], {})
    for user_id in dict.fromkeys(user_ids):
        try:
            async with session.begin_nested():
                await _refuse_known(session, tenant_id, user_id)
                await create_invitation(
                    session,
                    tenant_id=tenant_id,
                    user_id=user_id,
                    caller=caller,
                    public_url=public_url,
                    now=now,
                    email=email,
                )
        except DomainError as error:
            done.refused[user_id] = error
        else:
            done.invited.append(user_id)
    return done


async def _take_turn(session: AsyncSession, tenant_id: UUID) -> None:
    """Two who invite the same person at once make one account, and one link that is good."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('invitations ' || :tenant_id, 0))"),
        {"tenant_id": str(tenant_id)},
    )


async def _refuse_known(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> None:
    has_password = await session.scalar(
        select(Account.id).where(
            Account.tenant_id == tenant_id,
            Account.user_id == user_id,
            Account.password_changed_at.is_not(None),
        )
    )
    if has_password is not None:
        raise Conflict(
            "This person has a password already. Who has forgotten theirs asks for a new one on"
            " the sign-in page.",
            field="userId",
        )
