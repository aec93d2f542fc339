"""What people do with their sessions: look at them, end them, and prove that they are there."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import InvalidInput, NotFound, SignInAgain
from domain.people.audit import record_act
from domain.people.callers import Caller, Scope
from domain.people.models import Session
from domain.people.sessions import lifetime_of
from domain.roster.models import User

MOST_SESSIONS: Final = 100
FRESH: Final = timedelta(minutes=10)
"""So long after signing in, people do what they have to sign in anew for later."""


def of_caller(caller: Caller) -> list[ColumnElement[bool]]:
    """Whose sessions are a person's own."""
    if caller.user_id is not None:
        return [Session.tenant_id == caller.tenant_id, Session.user_id == caller.user_id]
    return [Session.tenant_id == caller.tenant_id, Session.account_id == caller.account_id]


async def list_own_sessions(
    session: AsyncSession, *, caller: Caller, now: datetime
) -> Sequence[Any]:
    """Those that are good, the latest first."""
    unused_since = now - lifetime_of(caller.roles).idle
    rows = await session.execute(
        select(
            Session.tenant_id,
            Session.id,
            Session.method,
            Session.created_at,
            Session.last_seen_at,
            Session.expires_at,
            Session.client,
        )
        .where(
            *of_caller(caller),
            Session.ended_at.is_(None),
            Session.expires_at > now,
            Session.last_seen_at >= unused_since,
        )
        .order_by(Session.id.desc())
        .limit(MOST_SESSIONS)
    )
    return rows.all()


async def check_fresh(session: AsyncSession, *, caller: Caller, now: datetime) -> None:
    """That a person has signed in just now; tokens need not. Raises SignInAgain."""
    if caller.session_id is None:
        return
    signed_in_at = await session.scalar(
        select(Session.created_at).where(
            Session.tenant_id == caller.tenant_id, Session.id == caller.session_id
        )
    )
    if signed_in_at is None or now - signed_in_at > FRESH:
        minutes = int(FRESH.total_seconds() // 60)
        raise SignInAgain(
            f"This is done within {minutes} minutes after signing in: sign in again first."
        )


async def revoke_session(
    session: AsyncSession, *, tenant_id: UUID, session_id: UUID, caller: Caller, now: datetime
) -> None:
    """One of one's own. Once more does nothing. Raises NotFound."""
    own = [*of_caller(caller), Session.tenant_id == tenant_id, Session.id == session_id]
    if await session.scalar(select(Session.id).where(*own)) is None:
        raise NotFound("session", session_id)
    if await _end(session, own, now=now):
        _record(session, tenant_id, caller=caller, action="sessionRevoke", target=session_id)


async def revoke_sessions(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    user_id: UUID | None,
    caller: Caller,
    now: datetime,
) -> int:
    """All of a person, who may be somebody else for administrators; None: one's own.

    The one that asks goes on. How many there were. Raises Forbidden, InvalidInput and NotFound.
    """
    if user_id is None or user_id == caller.user_id:
        if not caller.is_person:
            raise InvalidInput("userId", "A token has no sessions: name a person.")
        conditions = [*of_caller(caller), Session.id != caller.session_id]
    else:
        caller.demand(Scope.TENANT_ADMIN)
        await _demand_person(session, tenant_id, user_id)
        conditions = [Session.tenant_id == tenant_id, Session.user_id == user_id]
    ended = await _end(session, [*conditions, Session.expires_at > now], now=now)
    _record(
        session,
        tenant_id,
        caller=caller,
        action="sessionsRevokeAll",
        target=user_id or caller.user_id or caller.account_id,
        details={"ended": ended},
    )
    return ended


async def _demand_person(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> None:
    known = select(User.id).where(User.tenant_id == tenant_id, User.id == user_id)
    if await session.scalar(known) is None:
        raise NotFound("person", user_id)


async def _end(
    session: AsyncSession, conditions: Sequence[ColumnElement[bool]], *, now: datetime
) -> int:
    ended = await session.execute(
        update(Session)
        .where(Session.ended_at.is_(None), *conditions)
        .values(ended_at=now)
        .returning(Session.id)
        .execution_options(synchronize_session=False)
    )
    return len(ended.all())


def _record(
    session: AsyncSession,
    tenant_id: UUID,
    *,
    caller: Caller,
    action: str,
    target: UUID | None,
    details: Mapping[str, Any] | None = None,
) -> None:
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action=action,
        target=str(target),
        details=details,
    )
