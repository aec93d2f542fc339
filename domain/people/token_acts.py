"""Giving a machine its API token, and taking it back."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.people.audit import record_act
from domain.people.callers import Caller, Scope
from domain.people.models import ApiToken
from domain.people.session_acts import check_fresh
from domain.people.tokens import create_api_token

MOST_DAYS: Final = 365
MOST_TOKENS: Final = 100
_NAME_LENGTH: Final = 100


class WantedToken(NamedTuple):
    name: str
    scopes: Collection[Scope]
    days: int


async def give_token(
    session: AsyncSession, *, tenant_id: UUID, wanted: WantedToken, caller: Caller, now: datetime
) -> tuple[ApiToken, str]:
    """The token and its secret. It can do no more than whoever asks for it.

    One that a token asks for ends no later than that, and depends on the same person. Raises
    InvalidInput, and Conflict where a person has to sign in anew or there are too many.
    """
    _check_name(wanted.name)
    _check_scopes(wanted.scopes, caller)
    maker = await _maker(session, caller)
    lifetime = _lifetime(wanted.days, maker, now=now)
    await check_fresh(session, caller=caller, now=now)
    await _check_number(session, tenant_id, now=now)
    token, secret = await create_api_token(
        session,
        tenant_id=tenant_id,
        name=wanted.name.strip(),
        scopes=wanted.scopes,
        now=now,
        lifetime=lifetime,
        created_by=caller.actor,
        created_by_user_id=maker.created_by_user_id if maker else caller.user_id,
    )
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="apiTokenCreate",
        target=str(token.id),
        details={"scopes": token.scopes, "days": wanted.days},
    )
    await session.flush()
    return token, secret


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > _NAME_LENGTH or not name.isprintable():
        raise InvalidInput("name", f"A name has 1 to {_NAME_LENGTH} characters, all printable.")


def _check_scopes(scopes: Collection[Scope], caller: Caller) -> None:
    if not scopes:
        raise InvalidInput("scopes", "A token without a scope is good for nothing.")
    if beyond := sorted(set(scopes) - caller.scopes):
        raise InvalidInput(
            "scopes", f"A token cannot do more than who makes it: not {', '.join(beyond)}."
        )


async def _maker(session: AsyncSession, caller: Caller) -> ApiToken | None:
    """The tenant's token that asks; an operator's is none of the tenant's."""
    if caller.is_product_side or caller.token_id is None:
        return None
    return await session.get(ApiToken, caller.token_id)


def _lifetime(days: int, maker: ApiToken | None, *, now: datetime) -> timedelta:
    if not 1 <= days <= MOST_DAYS:
        raise InvalidInput("lifetimeDays", f"A token lasts from 1 to {MOST_DAYS} days.")
    lifetime = timedelta(days=days)
    if maker and maker.expires_at and now + lifetime > maker.expires_at:
        left = (maker.expires_at - now).days
        raise InvalidInput(
            "lifetimeDays",
            f"A token does not outlive the one that makes it, which has {left} whole days left.",
        )
    return lifetime


async def _check_number(session: AsyncSession, tenant_id: UUID, *, now: datetime) -> None:
    count = await session.scalar(
        select(func.count())
        .select_from(ApiToken)
        .where(ApiToken.tenant_id == tenant_id, *_good(now))
    )
    if (count or 0) >= MOST_TOKENS:
        raise Conflict(f"There are {MOST_TOKENS} tokens already: revoke some first.")


def _good(now: datetime) -> list[ColumnElement[bool]]:
    return [
        ApiToken.revoked_at.is_(None),
        or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now),
    ]


async def revoke_token(
    session: AsyncSession, *, tenant_id: UUID, token_id: UUID, caller: Caller, now: datetime
) -> ApiToken:
    """With those that it made, and those that they made. Once more does nothing.

    Raises NotFound.
    """
    condition = (ApiToken.tenant_id == tenant_id, ApiToken.id == token_id)
    token = await session.scalar(select(ApiToken).where(*condition).with_for_update())
    if token is None:
        raise NotFound("API token", token_id)
    if token.revoked_at is not None:
        return token
    revoked = [token_id]
    token.revoked_at = now
    await session.flush()
    while made := await _revoke_made_by(session, tenant_id, revoked, now=now):
        revoked += made
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="apiTokenRevoke",
        target=str(token_id),
        details={"also": [str(each) for each in revoked[1:]]} if len(revoked) > 1 else None,
    )
    await session.flush()
    return token


async def _revoke_made_by(
    session: AsyncSession, tenant_id: UUID, makers: Sequence[UUID], *, now: datetime
) -> list[UUID]:
    revoked = await session.scalars(
        update(ApiToken)
        .where(
            ApiToken.tenant_id == tenant_id,
            ApiToken.created_by.in_([f"token {maker}" for maker in makers]),
            ApiToken.revoked_at.is_(None),
        )
        .values(revoked_at=now)
        .returning(ApiToken.id)
        .execution_options(synchronize_session=False)
    )
    return list(revoked)
