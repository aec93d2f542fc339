"""Signing in with a password, and as often as somebody may guess one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database
from domain.people.models import SignInMethodName
from domain.secrets import KeyRing
from domain.signing_in.attempts import record_attempt
from domain.signing_in.passwords import is_right
from domain.signing_in.refusals import RefusalReason
from domain.signing_in.second_factor import use_code
from domain.signing_in.signing_in import Refusal, SignedIn, open_session
from domain.throttle import Throttle, ThrottleUnavailable

TRIES_BY_NAME: Final = 10
TRIES_BY_ADDRESS: Final = 200
SECONDS: Final = 15 * 60
"""So many tries within so long; a sign-in that succeeds starts the count by name anew.

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
    by_name = f"password {tenant_id} {attempt.name.strip().casefold()}"
    try:
        is_allowed = await throttle.count(by_name, TRIES_BY_NAME, SECONDS)
        is_allowed = is_allowed and await throttle.count(
            f"password {attempt.address}", TRIES_BY_ADDRESS, SECONDS
        )
    except ThrottleUnavailable:
        return Refusal.because(RefusalReason.UNAVAILABLE, tenant_id)
    if not is_allowed:
        return Refusal.because(RefusalReason.LOCKED_OUT, tenant_id)
    async with database.read(tenant_id) as session:
        account = await _find(session, attempt.name)
    fits = attempt.is_checked or await is_right(
        attempt.password, account.password_hash if account else None
    )
    async with database.transaction(tenant_id) as session:
        reason = None if account and fits else RefusalReason.WRONG_PASSWORD
        if reason is None and account.totp_sealed is not None:
            reason = await _check_code(session, keys, tenant_id, account, attempt.code, now)
        if reason is not None:
            outcome: SignedIn | Refusal = _refuse(session, tenant_id, account, reason)
        else:
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
        await throttle.forget(by_name)
    return outcome


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
