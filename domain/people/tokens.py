"""API tokens: shown once, kept as a hash, looked up before a tenant is known."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.people.callers import SCOPES, Caller, CallerRole, Scope
from domain.people.models import ApiToken

PREFIX = "hrw_"
DEFAULT_LIFETIME = timedelta(days=90)


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


async def find_caller(session: AsyncSession, secret: str) -> Caller | None:
    """None for a token that is unknown, expired or revoked; the three are not told apart."""
    row = (
        await session.execute(
            text("SELECT id, tenant_id, name, scopes, role FROM find_api_token(:hash)"),
            {"hash": hash_token(secret)},
        )
    ).one_or_none()
    if row is None:
        return None
    role = CallerRole(row.role)
    given = {scope for scope in Scope if scope.value in row.scopes}
    return Caller(
        actor=f"token {row.id}",
        name=row.name,
        tenant_id=row.tenant_id,
        scopes=SCOPES[role] & given,
        roles=frozenset({role}),
    )
