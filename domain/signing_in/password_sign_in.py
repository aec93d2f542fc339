"""Signing in with a password, and as often as somebody may guess one."""

import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database
from domain.people.models import Account, SignInMethodName
from domain.secrets import KeyRing
from domain.signing_in.attempts import record_attempt
from domain.signing_in.passwords import hash_password, is_outdated, is_right
from domain.signing_in.refusals import RefusalReason
from domain.signing_in.second_factor import use_code
from domain.signing_in.signing_in import Refusal, SignedIn, open_session
from domain.throttle import Throttle, ThrottleUnavailable

TRIES_BY_NAME: Final = 10
TRIES_BY_ADDRESS: Final = 200
SECONDS: Final = 15 * 60
"""So many tries that fail within so long; a sign-in that succeeds starts the count by name anew.

A whole district may come from one address.
"""


@dataclass(frozen=True, slots=True)
class Try:
    """What was typed, and where. `code` is that of the second factor.

    `is_checked`: the password was right a moment ago, and only the code is missing.
    """

    name: str
    password: str
    code: str | None
    address: str
    client: str | None
    is_checked: bool = False


async def sign_in_with_password(
    database: Database,
    keys: KeyRing,
    throttle: Throttle,
    *,
    tenant_id: UUID,
    attempt: Try,
    now: datetime,
) -> SignedIn | Refusal:
    """A name that nobody has and a wrong password get the same answer, after the same time.

    Without Valkey, which counts the tries, nobody gets in by password.
    """
    try:
        if not await _may_try(throttle, tenant_id, attempt):
            return Refusal.because(RefusalReason.LOCKED_OUT, tenant_id)
    except ThrottleUnavailable:
        return Refusal.because(RefusalReason.UNAVAILABLE, tenant_id)
    async with database.read(tenant_id) as session:
        account = await _find(session, attempt.name)
    fits = attempt.is_checked or await is_right(
        attempt.password, account.password_hash if account else None
    )
    async with database.transaction(tenant_id) as session:
        reason: RefusalReason | None = RefusalReason.WRONG_PASSWORD
        if account and fits and await _is_as_it_was(session, tenant_id, attempt, account):
            reason = await _check_code(session, keys, tenant_id, account, attempt.code, now)
        if reason is not None:
            return _refuse(session, tenant_id, account, reason)
        outcome = await open_session(
            session,
            tenant_id=tenant_id,
            user_id=account.user_id,
            account_id=account.account_id,
            method=SignInMethodName.PASSWORD,
            client=attempt.client,
            now=now,
        )
    if isinstance(outcome, SignedIn):
        await _give_back(throttle, tenant_id, attempt)
        if not attempt.is_checked and is_outdated(account.password_hash):
            await _renew_hash(database, tenant_id, attempt, account)
    return outcome


async def _may_try(throttle: Throttle, tenant_id: UUID, attempt: Try) -> bool:
    """Where an address has used its tries up, it locks no names out either."""
    by_address, by_name = _at(attempt.address), _counted_by(tenant_id, attempt.name)
    return await throttle.count(by_address, TRIES_BY_ADDRESS, SECONDS) and await throttle.count(
        by_name, TRIES_BY_NAME, SECONDS
    )


async def _give_back(throttle: Throttle, tenant_id: UUID, attempt: Try) -> None:
    """A class that signs in at eight from one address does not lock out the next one."""
    await forget_tries(throttle, tenant_id=tenant_id, name=attempt.name)
    with suppress(ThrottleUnavailable):
        await throttle.give_back(_at(attempt.address), 2 if attempt.is_checked else 1)


def _at(address: str) -> str:
    return f"password {neighbourhood(address)}"


def _counted_by(tenant_id: UUID, name: str) -> str:
    return f"password {tenant_id} {name.strip().casefold()}"


def neighbourhood(address: str) -> str:
    """What is counted as one address: of IPv6 a whole network, since a house has one at least."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))


async def forget_tries(throttle: Throttle, *, tenant_id: UUID, name: str) -> None:
    """They were followed by a success. Where they cannot be forgotten, they lapse."""
    with suppress(ThrottleUnavailable):
        await throttle.forget(_counted_by(tenant_id, name))


async def _renew_hash(database: Database, tenant_id: UUID, attempt: Try, account: Any) -> None:
    """Unless another password was set meanwhile."""
    renewed = await hash_password(attempt.password)
    async with database.transaction(tenant_id) as session:
        if await _is_as_it_was(session, tenant_id, attempt, account):
            await session.execute(
                update(Account)
                .where(Account.tenant_id == tenant_id, Account.id == account.account_id)
                .values(password_hash=renewed)
            )


async def _is_as_it_was(session: AsyncSession, tenant_id: UUID, attempt: Try, account: Any) -> bool:
    """Nobody has set another password meanwhile or disabled the account, nor does so before us.

    Who does ends all sessions, and would miss the one that is begun right now.
    """
    await session.execute(
        select(Account.id)
        .where(Account.tenant_id == tenant_id, Account.id == account.account_id)
        .with_for_update(key_share=True)
    )
    current = await _find(session, attempt.name)
    return (
        current is not None
        and current.account_id == account.account_id
        and current.password_hash == account.password_hash
    )


async def _find(session: AsyncSession, name: str) -> Any:
    if not name.strip() or "\x00" in name:
        return None
    found = await session.execute(text("SELECT * FROM find_account(:name)"), {"name": name.strip()})
    return found.one_or_none()


def _refuse(session: AsyncSession, tenant_id: UUID, account: Any, reason: RefusalReason) -> Refusal:
    """That the code is still to come is no attempt yet."""
    if reason is not RefusalReason.SECOND_FACTOR_NEEDED:
        record_attempt(
            session,
            tenant_id=tenant_id,
            method=SignInMethodName.PASSWORD,
            user_id=account.user_id if account else None,
            account_id=account.account_id if account else None,
            reason=reason,
        )
    return Refusal.because(reason, tenant_id)


async def _check_code(
    session: AsyncSession,
    keys: KeyRing,
    tenant_id: UUID,
    account: Any,
    code: str | None,
    now: datetime,
) -> RefusalReason | None:
    if account.totp_sealed is None:
        return None
    if not code:
        return RefusalReason.SECOND_FACTOR_NEEDED
    is_good = await use_code(
        session,
        tenant_id=tenant_id,
        account_id=account.account_id,
        sealed=account.totp_sealed,
        code=code,
        keys=keys,
        now=now,
    )
    return None if is_good else RefusalReason.WRONG_CODE
