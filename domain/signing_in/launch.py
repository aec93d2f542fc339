"""Launch tokens: how the training application takes somebody over who has signed in here (L9).

A token is an ES256 JWT for one audience, a minute long. The training application verifies it by
the published keys and redeems it, which can be done once.
"""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet
from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.one_time import OneTime
from domain.people.models import SigningKey
from domain.secrets import KeyRing, signing_key_context

ALGORITHM: Final = "ES256"
LIFETIME: Final = timedelta(minutes=1)
TENANT_CLAIM: Final = "tenant_uuid"
_SKEW: Final = 5
_RENEWED_AFTER: Final = timedelta(days=90)
_PUBLISHED_AFTER: Final = timedelta(days=1)
"""A key that is not used any more is published as long as tokens of it may be under way."""
_KIND: Final = "launch"
_LOCK: Final = 0x686F6D65


async def public_keys(session: AsyncSession, *, now: datetime) -> list[dict[str, Any]]:
    """As JWKs, the newest first."""
    found = await session.scalars(
        select(SigningKey)
        .where(SigningKey.retired_at.is_(None) | (SigningKey.retired_at > now - _PUBLISHED_AFTER))
        .order_by(SigningKey.created_at.desc())
    )
    return [key.public for key in found]


async def signing_key(session: AsyncSession, keys: KeyRing, *, now: datetime) -> ECKey:
    """The one in use: made where there is none, and renewed after some time."""
    newest = await _newest(session)
    if newest is None or now - newest.created_at > _RENEWED_AFTER:
        # One process makes it; whoever waited finds it.
        await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        newest = await _newest(session)
        if newest is None or now - newest.created_at > _RENEWED_AFTER:
            newest = await _make_key(session, keys, now=now)
    plain = keys.open(newest.sealed, context=signing_key_context(newest.kid))
    return ECKey.import_key(plain, {"kid": newest.kid})


async def _newest(session: AsyncSession) -> SigningKey | None:
    found: SigningKey | None = await session.scalar(
        select(SigningKey)
        .where(SigningKey.retired_at.is_(None))
        .order_by(SigningKey.created_at.desc())
        .limit(1)
    )
    return found


async def _make_key(session: AsyncSession, keys: KeyRing, *, now: datetime) -> SigningKey:
    kid = secrets.token_urlsafe(12)
    key = ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": ALGORITHM})
    plain = key.as_pem(private=True)
    await session.execute(
        update(SigningKey).where(SigningKey.retired_at.is_(None)).values(retired_at=now)
    )
    values = {
        "kid": kid,
        "sealed": keys.seal(plain, context=signing_key_context(kid)),
        "public": dict(key.as_dict(private=False)),
        "created_at": now,
    }
    made = await session.scalars(insert(SigningKey).values(**values).returning(SigningKey))
    return made.one()


async def launch_token(
    session: AsyncSession,
    keys: KeyRing,
    one_time: OneTime,
    *,
    claims: Mapping[str, Any],
    now: datetime,
) -> str:
    """`claims` say who it is and where: iss, aud, sub, TENANT_CLAIM and our own.

    Raises OneTimeUnavailable.
    """
    key = await signing_key(session, keys, now=now)
    moment = int(now.timestamp())
    token_id = secrets.token_urlsafe(16)
    content = {
        **claims,
        "iat": moment,
        "exp": moment + int(LIFETIME.total_seconds()),
        "jti": token_id,
    }
    await one_time.put(_KIND, token_id, {}, int(LIFETIME.total_seconds()) + _SKEW)
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, content, key, algorithms=[ALGORITHM])


async def redeem(
    session: AsyncSession,
    one_time: OneTime,
    token: str,
    *,
    audience: str,
    may_see: Callable[[UUID], bool],
    now: datetime,
) -> Mapping[str, Any] | None:
    """What the token says; None for one that is not ours, too old, or was redeemed already.

    Whoever `may_see` not its tenant does not use it up. Raises OneTimeUnavailable.
    """
    published = await public_keys(session, now=now)
    if not published:
        return None
    try:
        found = jwt.decode(token, KeySet.import_key_set({"keys": published}), [ALGORITHM])
    except (JoseError, ValueError, TypeError):
        # A TypeError: joserfc trusts that a header's "crit" is a list.
        return None
    claims: Mapping[str, Any] = found.claims
    moment = int(now.timestamp())
    if claims.get("aud") != audience or not claims["iat"] - _SKEW <= moment <= claims["exp"]:
        return None
    if not may_see(UUID(claims[TENANT_CLAIM])):
        return None
    taken = await one_time.take(_KIND, claims["jti"])
    return claims if taken is not None else None
