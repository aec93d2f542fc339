"""The second factor: codes of an authenticator (TOTP, RFC 6238), each good once."""

import hmac
from datetime import datetime
from typing import Final
from uuid import UUID

import pyotp
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import InvalidInput
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.people.models import Account
from domain.secrets import KeyRing, totp_context

_STEP_SECONDS: Final = 30
_DIGITS: Final = 6
_ISSUER: Final = "Homerow"
WRONG: Final = "The code is wrong, or was used already. Wait for the next one and try again."


def new_secret() -> str:
    return pyotp.random_base32()


def uri_of(secret: str, *, name: str) -> str:
    """What authenticators open."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER)


def step_of(secret: str, code: str, *, now: datetime) -> int | None:
    """The step of time that the code is of: this one, or one beside it; None for a wrong code."""
    digits = "".join(code.split())
    if len(digits) != _DIGITS or not (digits.isascii() and digits.isdecimal()):
        return None
    totp = pyotp.TOTP(secret)
    step = int(now.timestamp()) // _STEP_SECONDS
    fitting = [
        near
        for near in (step - 1, step, step + 1)
        if hmac.compare_digest(totp.generate_otp(near), digits)
    ]
    return max(fitting, default=None)


async def use_code(  # noqa: PLR0913 - whose code, and what it is compared with
    session: AsyncSession,
    *,
    tenant_id: UUID,
    account_id: UUID,
    sealed: bytes,
    code: str,
    keys: KeyRing,
    now: datetime,
) -> bool:
    """Whether the code is right and was not used before; from now on it was."""
    secret = keys.open(sealed, context=totp_context(tenant_id, account_id)).decode()
    step = step_of(secret, code, now=now)
    if step is None:
        return False
    used = await session.execute(
        update(Account)
        .where(Account.tenant_id == tenant_id, Account.id == account_id)
        .where(or_(Account.totp_step.is_(None), Account.totp_step < step))
        .values(totp_step=step)
        .returning(Account.id)
    )
    return used.one_or_none() is not None


async def switch_on(  # noqa: PLR0913 - whose, and the secret with a code that proves it
    session: AsyncSession,
    *,
    tenant_id: UUID,
    account_id: UUID,
    secret: str,
    code: str,
    keys: KeyRing,
    caller: Caller,
    now: datetime,
) -> None:
    """Raises InvalidInput for a wrong code."""
    step = step_of(secret, code, now=now)
    if step is None:
        raise InvalidInput("code", WRONG)
    sealed = keys.seal(secret.encode(), context=totp_context(tenant_id, account_id))
    await _store(session, tenant_id, account_id, sealed=sealed, step=step)
    _record(session, tenant_id, account_id, caller, "secondFactorOn")


async def switch_off(
    session: AsyncSession, *, tenant_id: UUID, account_id: UUID, caller: Caller
) -> None:
    await _store(session, tenant_id, account_id, sealed=None, step=None)
    _record(session, tenant_id, account_id, caller, "secondFactorOff")


async def _store(
    session: AsyncSession,
    tenant_id: UUID,
    account_id: UUID,
    *,
    sealed: bytes | None,
    step: int | None,
) -> None:
    await session.execute(
        update(Account)
        .where(Account.tenant_id == tenant_id, Account.id == account_id)
        .values(totp_sealed=sealed, totp_step=step)
    )


def _record(
    session: AsyncSession, tenant_id: UUID, account_id: UUID, caller: Caller, action: str
) -> None:
    record_act(session, tenant_id=tenant_id, caller=caller, action=action, target=str(account_id))


async def name_of(session: AsyncSession, *, tenant_id: UUID, account_id: UUID) -> str:
    """What an authenticator shows the account as."""
    found = await session.execute(
        select(Account.email, Account.name).where(
            Account.tenant_id == tenant_id, Account.id == account_id
        )
    )
    row = found.one()
    return str(row.email or row.name or account_id)
