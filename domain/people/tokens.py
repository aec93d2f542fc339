"""API tokens: shown once, kept as a hash, looked up before a tenant is known."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.people.callers import Caller, Scope
from domain.people.models import ApiToken

PREFIX = "hrw_"
DEFAULT_LIFETIME = timedelta(days=90)


def hash_token(secret: str) -> bytes:
    """The secret has 256 bits of its own, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


async def create_api_token(
    session: AsyncSession,
    *,
    tenant_id: UUID | None,
    name: str,
    scopes: Collection[Scope],
    now: datetime,
    lifetime: timedelta = DEFAULT_LIFETIME,
) -> tuple[ApiToken, str]:
    """The stored row, and the secret that is shown this once."""
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        tenant_id=tenant_id,
        name=name,
        token_hash=hash_token(secret),
        scopes=sorted(scope.value for scope in scopes),
        expires_at=now + lifetime,
    )
    session.add(token)
    await session.flush()
    return token, secret


async def find_caller(session: AsyncSession, secret: str) -> Caller | None:
    """None for a token that is unknown, expired or revoked; the three are not told apart."""
    row = (
        await session.execute(
            text("SELECT id, tenant_id, name, scopes FROM find_api_token(:hash)"),
            {"hash": hash_token(secret)},
        )
    ).one_or_none()
    if row is None:
        return None
    known = {scope.value for scope in Scope}
    return Caller(
        actor=f"token {row.id}",
        name=row.name,
        tenant_id=row.tenant_id,
        scopes=frozenset(Scope(scope) for scope in row.scopes if scope in known),
    )
