"""Sessions: a random token in a cookie, its hash here, and how long it is good for.

A session ends after some time without use (idle) and some time in any case (absolute); the
strictest of a person's roles counts. The figures are our own choice, as NIST SP 800-63B asks for
one, shorter where more can be done.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.people.callers import SCOPES, TENANT_ADMINS, Caller, CallerRole, Found, Scope
from domain.people.models import Session, SignInMethodName
from domain.people.tokens import SEEN_EVERY, hash_token
from domain.reach import Reach

PREFIX: Final = "hrs_"
_CLIENT_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Lifetime:
    idle: timedelta
    absolute: timedelta


_MINUTES: Final = {
    CallerRole.SUPER_ADMIN: (15, 8 * 60),
    CallerRole.DISTRICT_ADMIN: (30, 12 * 60),
    CallerRole.SCHOOL_ADMIN: (30, 12 * 60),
    CallerRole.TEACHER: (120, 12 * 60),
    CallerRole.STAFF: (120, 12 * 60),
    CallerRole.STUDENT: (120, 10 * 60),
}


def lifetime_of(roles: Iterable[CallerRole]) -> Lifetime:
    """The shortest of what the roles have; a person without any is taken for a student."""
    minutes = [_MINUTES[role] for role in roles] or [_MINUTES[CallerRole.STUDENT]]
    return Lifetime(
        idle=timedelta(minutes=min(idle for idle, _ in minutes)),
        absolute=timedelta(minutes=min(absolute for _, absolute in minutes)),
    )


async def start_session(  # noqa: PLR0913 - what a session is made of
    session: AsyncSession,
    *,
    tenant_id: UUID,
    user_id: UUID | None,
    account_id: UUID | None,
    roles: Iterable[CallerRole],
    method: SignInMethodName,
    client: str | None,
    now: datetime,
) -> tuple[Session, str]:
    """The stored row, and the token for the cookie. Of the roster's people `user_id` alone."""
    token = PREFIX + secrets.token_urlsafe(32)
    started = Session(
        tenant_id=tenant_id,
        user_id=user_id,
        account_id=None if user_id else account_id,
        token_hash=hash_token(token),
        method=method,
        last_seen_at=now,
        expires_at=now + lifetime_of(roles).absolute,
        client=_printable(client),
    )
    session.add(started)
    await session.flush()
    return started, token


def _printable(client: str | None) -> str | None:
    return "".join(filter(str.isprintable, client))[:_CLIENT_LENGTH] if client else None


async def find_session(session: AsyncSession, token: str, *, now: datetime) -> Found | None:
    """None for one that is unknown, over, or whose person may not sign in any more.

    Where it is due, `touch_session` is to be called.
    """
    row = (
        await session.execute(
            text("SELECT * FROM find_session(:hash)"), {"hash": hash_token(token)}
        )
    ).one_or_none()
    if row is None:
        return None
    roles = roles_of(row.roles, is_super_admin=row.user_id is None)
    if now - row.last_seen_at > lifetime_of(roles).idle:
        return None
    return Found(_caller(row, roles), is_due=now - row.last_seen_at > SEEN_EVERY)


def roles_of(stored: Iterable[str], *, is_super_admin: bool = False) -> frozenset[CallerRole]:
    """A person's roles as a caller. A super admin has no others."""
    if is_super_admin:
        return frozenset({CallerRole.SUPER_ADMIN})
    return frozenset(CallerRole(role) for role in stored)


def _caller(row: Any, roles: frozenset[CallerRole]) -> Caller:
    actor = f"user {row.user_id}" if row.user_id else f"account {row.account_id}"
    scopes: frozenset[Scope] = frozenset().union(*(SCOPES[role] for role in roles))
    return Caller(
        actor=actor,
        name=row.name,
        tenant_id=row.tenant_id,
        scopes=scopes,
        roles=roles or frozenset({CallerRole.STUDENT}),
        reach=reach_of(row, roles, actor),
        user_id=row.user_id,
        account_id=row.account_id,
        session_id=row.session_id,
    )


def reach_of(row: Any, roles: frozenset[CallerRole], actor: str) -> Reach | None:
    """`row` has user_id, and the group_ids and school_ids that the roles give."""
    if not roles.isdisjoint(TENANT_ADMINS):
        return None
    schools = frozenset(row.school_ids)
    return Reach(
        user_id=row.user_id,
        actor=actor,
        school_ids=schools,
        group_ids=frozenset(row.group_ids),
        administered_ids=schools if CallerRole.SCHOOL_ADMIN in roles else frozenset(),
    )


async def touch_session(
    session: AsyncSession, *, tenant_id: UUID, session_id: UUID, now: datetime
) -> None:
    await session.execute(
        update(Session)
        .where(Session.tenant_id == tenant_id, Session.id == session_id)
        .values(last_seen_at=now)
    )


async def renew_token(
    session: AsyncSession, *, tenant_id: UUID, session_id: UUID
) -> tuple[str, datetime] | None:
    """Another token in place of the former one, and the absolute end. None: it is over."""
    token = PREFIX + secrets.token_urlsafe(32)
    until: datetime | None = await session.scalar(
        update(Session)
        .where(Session.tenant_id == tenant_id, Session.id == session_id)
        .where(Session.ended_at.is_(None), Session.expires_at > func.now())
        .values(token_hash=hash_token(token))
        .returning(Session.expires_at)
    )
    return (token, until) if until else None


async def end_sessions(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    now: datetime,
    session_id: UUID | None = None,
    user_id: UUID | None = None,
    account_id: UUID | None = None,
) -> int:
    """Those of a person, of an account, or one; at least one is named. How many ended."""
    wanted = {"id": session_id, "user_id": user_id, "account_id": account_id}
    conditions = [getattr(Session, name) == key for name, key in wanted.items() if key is not None]
    if not conditions:
        raise ValueError("whose sessions are to end is not said")
    ended = await session.execute(
        update(Session)
        .where(Session.tenant_id == tenant_id, Session.ended_at.is_(None), *conditions)
        .values(ended_at=now)
        .returning(Session.id)
    )
    return len(ended.all())
