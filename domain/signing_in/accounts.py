"""Accounts: who signs in with a password. Super admins, and imported people who were invited."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import new_id
from domain.errors import Conflict, InvalidInput, NotFound
from domain.people.addresses import check_email
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.people.models import Account, AccountLink, ApiToken
from domain.people.sessions import end_sessions
from domain.roster.models import Origin, User
from domain.signing_in.deciding import must_use_clever
from domain.signing_in.signing_in import read_facts

_LONGEST = 200


async def create_super_admin(
    session: AsyncSession, *, tenant_id: UUID, name: str, email: str, caller: Caller
) -> Account:
    """Without a password: that is set by a link. Raises InvalidInput and Conflict."""
    email = check_email("email", email)
    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        raise InvalidInput("name", f"A name has 1 to {_LONGEST} characters.")
    if await _super_admin(session, tenant_id, email) is not None:
        raise Conflict(f"There is a super admin with the address {email} already.", field="email")
    account = Account(
        id=new_id(),
        tenant_id=tenant_id,
        name=name.strip(),
        email=email,
        created_by=caller.actor,
    )
    session.add(account)
    _record(session, account, caller, "superAdminCreate")
    await session.flush()
    return account


async def _super_admin(session: AsyncSession, tenant_id: UUID, email: str) -> Account | None:
    found: Account | None = await session.scalar(
        select(Account).where(
            Account.tenant_id == tenant_id,
            Account.user_id.is_(None),
            func.lower(Account.email) == func.lower(email),
        )
    )
    return found


async def get_super_admin(session: AsyncSession, *, tenant_id: UUID, email: str) -> Account:
    """Raises NotFound."""
    account = await _super_admin(session, tenant_id, email.strip())
    if account is None:
        raise NotFound("super admin", email)
    return account


async def list_super_admins(session: AsyncSession, tenant_id: UUID) -> Sequence[Account]:
    found = await session.scalars(
        select(Account)
        .where(Account.tenant_id == tenant_id, Account.user_id.is_(None))
        .order_by(func.lower(Account.email))
    )
    return found.all()


async def disable_account(
    session: AsyncSession, account: Account, *, caller: Caller, now: datetime
) -> None:
    """The account's sessions are over as well, its links, and the tokens that it has made."""
    if account.disabled_at is None:
        account.disabled_at = now
        await void_links(session, account, now=now)
        await end_sessions_of(session, account, now=now)
        await session.execute(
            update(ApiToken)
            .where(ApiToken.tenant_id == account.tenant_id, ApiToken.revoked_at.is_(None))
            .where(ApiToken.created_by == f"account {account.id}")
            .values(revoked_at=now)
        )
        _record(session, account, caller, "accountDisable")


async def enable_account(session: AsyncSession, account: Account, *, caller: Caller) -> None:
    if account.disabled_at is not None:
        account.disabled_at = None
        _record(session, account, caller, "accountEnable")


async def end_sessions_of(session: AsyncSession, account: Account, *, now: datetime) -> None:
    """Those of the person, however they have signed in."""
    await end_sessions(
        session,
        tenant_id=account.tenant_id,
        now=now,
        user_id=account.user_id,
        account_id=None if account.user_id else account.id,
    )


async def void_links(session: AsyncSession, account: Account, *, now: datetime) -> None:
    """Those that were not used yet."""
    await session.execute(
        update(AccountLink)
        .where(
            AccountLink.tenant_id == account.tenant_id,
            AccountLink.account_id == account.id,
            AccountLink.used_at.is_(None),
        )
        .values(used_at=now)
    )


async def account_of_person(
    session: AsyncSession, *, tenant_id: UUID, user_id: UUID, caller: Caller
) -> Account:
    """The account of somebody who was imported, made where there is none.

    Raises NotFound, and Conflict for who signs in otherwise or not at all.
    """
    user = await session.get(User, (tenant_id, user_id))
    if user is None:
        raise NotFound("user", str(user_id))
    facts = await read_facts(session, tenant_id=tenant_id, user_id=user_id)
    if facts.is_archived:
        raise Conflict("This person is archived.", field="userId")
    if must_use_clever(facts):
        raise Conflict("Administrators who are rostered from Clever must use it.", field="userId")
    if user.origin is not Origin.IMPORT:
        raise Conflict(
            "This person comes from the provider and signs in with it. Invitations are for people"
            " who were imported.",
            field="userId",
        )
    if not user.username:
        raise Conflict("This person has no username to sign in with.", field="userId")
    account = await session.scalar(
        select(Account).where(Account.tenant_id == tenant_id, Account.user_id == user_id)
    )
    if account is None:
        account = Account(
            id=new_id(), tenant_id=tenant_id, user_id=user_id, created_by=caller.actor
        )
        session.add(account)
        await session.flush()
    if account.disabled_at is not None:
        raise Conflict("This person's account is disabled.", field="userId")
    return account


def _record(session: AsyncSession, account: Account, caller: Caller, action: str) -> None:
    record_act(
        session,
        tenant_id=account.tenant_id,
        caller=caller,
        action=action,
        target=str(account.id),
    )
