"""API tokens: shown once, kept as a hash, looked up before a tenant is known."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.people.callers import SCOPES, Caller, CallerRole, Found, Scope
from domain.people.models import ApiToken

PREFIX = "hrw_"
DEFAULT_LIFETIME = timedelta(days=90)
SEEN_EVERY = timedelta(minutes=1)
"""That a token or a session was used is noted this often."""


def hash_token(secret: str) -> bytes:
    """The secret has 256 bits of its own, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


async def create_api_token(  # noqa: PLR0913 - what a token is made of
    session: AsyncSession,
    *,
    tenant_id: UUID | None,
    name: str,
    scopes: Collection[Scope],
    now: datetime,
    lifetime: timedelta = DEFAULT_LIFETIME,
    created_by: str | None = None,
    created_by_user_id: UUID | None = None,
    operator_id: UUID | None = None,
) -> tuple[ApiToken, str]:
    """The stored row, and the secret that is shown this once."""
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        tenant_id=tenant_id,
        name=name,
        token_hash=hash_token(secret),
        scopes=sorted(scope.value for scope in scopes),
        expires_at=now + lifetime,
        created_by=created_by,
        created_by_user_id=created_by_user_id,
        operator_id=operator_id,
    )
    session.add(token)
    await session.flush()
    return token, secret


async def find_token(session: AsyncSession, secret: str, *, now: datetime) -> Found | None:
    """None for a token that is unknown, expired or revoked; the three are not told apart.

    Where it is due, `touch_token` is to be called.
    """
    row = (
        await session.execute(
            text(
                "SELECT id, tenant_id, name, scopes, role, last_used_at FROM find_api_token(:hash)"
            ),
            {"hash": hash_token(secret)},
        )
    ).one_or_none()
    if row is None:
        return None
    role = CallerRole(row.role)
    given = {scope for scope in Scope if scope.value in row.scopes}
    caller = Caller(
        actor=f"token {row.id}",
        name=row.name,
        tenant_id=row.tenant_id,
        scopes=SCOPES[role] & given,
        roles=frozenset({role}),
        token_id=row.id,
    )
    is_due = row.last_used_at is None or now - row.last_used_at > SEEN_EVERY
    return Found(caller, is_due)


async def touch_token(session: AsyncSession, token_id: UUID, *, now: datetime) -> None:
    """In a transaction of the token's tenant, or of none."""
    await session.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))
