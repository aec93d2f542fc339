"""Links in mails that set a password once: invitations, and for who has forgotten theirs."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import new_id
from domain.database import Database
from domain.errors import Conflict, InvalidInput, NotFound
from domain.notifications.mails import invitation_mail, password_changed_mail, reset_mail
from domain.notifications.outbox import put_mail
from domain.people.addresses import check_email
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.people.models import Account, AccountLink, LinkKind
from domain.people.tokens import hash_token
from domain.roster.models import User
from domain.signing_in.accounts import account_of_person, end_sessions_of, void_links
from domain.signing_in.attempts import actor_of
from domain.signing_in.password_sign_in import forget_tries, neighbourhood
from domain.signing_in.passwords import hash_password, problem_of
from domain.tenants.service import get_tenant
from domain.throttle import Throttle

LIFETIMES: Final = {LinkKind.INVITATION: timedelta(days=7), LinkKind.RESET: timedelta(hours=1)}
_RESETS, _RESETS_BY_ADDRESS, _SECONDS = 3, 30, 60 * 60
_ANSWER_SECONDS: Final = 0.2
"""What a request for a reset takes, so that its time does not tell whether a mail was written."""
_GONE: Final = "This link has been used, or its time is over. Ask for a new one."


class FoundLink(NamedTuple):
    tenant_id: UUID
    link_id: UUID
    account_id: UUID
    kind: LinkKind


async def make_link(
    session: AsyncSession, account: Account, kind: LinkKind, *, public_url: str, now: datetime
) -> str:
    """The whole address. The account's former links are void from now on."""
    await void_links(session, account, now=now)
    token = secrets.token_urlsafe(32)
    session.add(
        AccountLink(
            id=new_id(),
            tenant_id=account.tenant_id,
            account_id=account.id,
            kind=kind,
            token_hash=hash_token(token),
            expires_at=now + LIFETIMES[kind],
        )
    )
    await session.flush()
    return f"{public_url.rstrip('/')}/account-links/{token}"


async def invite_super_admin(
    session: AsyncSession, account: Account, *, public_url: str, now: datetime
) -> str:
    """Mail the link, and answer it for who has no mail server yet. Raises Conflict."""
    if account.disabled_at is not None:
        raise Conflict(f"{account.email} is disabled. Enable the account first.")
    url = await make_link(session, account, LinkKind.INVITATION, public_url=public_url, now=now)
    tenant = await get_tenant(session, tenant_id=account.tenant_id)
    mail = invitation_mail(to=account.email or "", tenant=tenant.display_name, url=url)
    put_mail(session, tenant_id=account.tenant_id, mail=mail)
    return url


async def create_invitation(  # noqa: PLR0913 - who is invited, by whom, and where the link leads
    session: AsyncSession,
    *,
    tenant_id: UUID,
    user_id: UUID,
    caller: Caller,
    public_url: str,
    now: datetime,
    email: str | None = None,
) -> Account:
    """Invite somebody who was imported, by the roster's address or the one that is given.

    Raises NotFound, Conflict and InvalidInput. The given address is used this once.
    """
    account = await account_of_person(session, tenant_id=tenant_id, user_id=user_id, caller=caller)
    stored = await session.scalar(
        select(User.email).where(User.tenant_id == tenant_id, User.id == user_id)
    )
    to = check_email("email", email) if email else stored
    if not to:
        raise InvalidInput("email", "The roster has no mail address of this person: give one.")
    url = await make_link(session, account, LinkKind.INVITATION, public_url=public_url, now=now)
    tenant = await get_tenant(session, tenant_id=tenant_id)
    put_mail(
        session,
        tenant_id=tenant_id,
        mail=invitation_mail(to=to, tenant=tenant.display_name, url=url),
    )
    record_act(
        session, tenant_id=tenant_id, caller=caller, action="invitationSend", target=str(user_id)
    )
    return account


async def request_reset(  # noqa: PLR0913 - who asks, and where the link leads
    database: Database,
    throttle: Throttle,
    *,
    tenant_id: UUID,
    name: str,
    public_url: str,
    address: str,
    now: datetime,
) -> None:
    """Mail a link to whoever has this name here, and say nothing about it.

    Raises ThrottleUnavailable.
    """
    by_address = f"reset {neighbourhood(address)}"
    by_name = f"reset {tenant_id} {name.strip().casefold()}"
    async with _in_a_fixed_time(), database.transaction(tenant_id) as session:
        if not await throttle.count(by_address, _RESETS_BY_ADDRESS, _SECONDS):
            return
        if not await throttle.count(by_name, _RESETS, _SECONDS):
            return
        account, to = await _account_and_address(session, tenant_id, name)
        if account is None or not to:
            return
        url = await make_link(session, account, LinkKind.RESET, public_url=public_url, now=now)
        tenant = await get_tenant(session, tenant_id=tenant_id)
        mail = reset_mail(to=to, tenant=tenant.display_name, url=url)
        put_mail(session, tenant_id=tenant_id, mail=mail)


@asynccontextmanager
async def _in_a_fixed_time() -> AsyncGenerator[None]:
    """At least: what is done within is done much sooner."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    yield
    await asyncio.sleep(begun + _ANSWER_SECONDS - loop.time())


async def _account_and_address(
    session: AsyncSession, tenant_id: UUID, name: str
) -> tuple[Account | None, str | None]:
    if not name.strip() or "\x00" in name:
        return None, None
    found = await session.execute(
        text("SELECT account_id FROM find_account(:name)"), {"name": name.strip()}
    )
    account_id = found.scalar_one_or_none()
    if account_id is None:
        return None, None
    row = (
        await session.execute(
            select(Account, User.email)
            .outerjoin(User, (User.tenant_id == Account.tenant_id) & (User.id == Account.user_id))
            .where(Account.tenant_id == tenant_id, Account.id == account_id)
        )
    ).one()
    return row[0], row[0].email or row[1]


async def find_link(database: Database, token: str) -> FoundLink | None:
    """None for a link that never was, was used, or whose time is over."""
    async with database.read() as session:
        found = await session.execute(
            text("SELECT * FROM find_account_link(:hash)"), {"hash": hash_token(token)}
        )
        row = found.one_or_none()
    if row is None:
        return None
    return FoundLink(row.tenant_id, row.link_id, row.account_id, LinkKind(row.kind))


async def set_password(
    database: Database,
    found: FoundLink,
    password: str,
    *,
    now: datetime,
    throttle: Throttle | None = None,
) -> None:
    """Use the link up. Raises InvalidInput for a password that will not do, and Conflict.

    With the `throttle`, whoever was locked out by too many tries is not any more.
    """
    tenant_id = found.tenant_id
    async with database.read(tenant_id) as session:
        names = await _names(session, found)
    if problem := problem_of(password, known=names):
        raise InvalidInput("password", problem)
    hashed = await hash_password(password)
    async with database.transaction(tenant_id) as session:
        used = await session.scalar(
            update(AccountLink)
            .where(AccountLink.tenant_id == tenant_id, AccountLink.id == found.link_id)
            .where(AccountLink.used_at.is_(None), AccountLink.expires_at > now)
            .values(used_at=now)
            .returning(AccountLink.id)
        )
        account = await session.get(Account, (tenant_id, found.account_id))
        if used is None or account is None or account.disabled_at is not None:
            raise Conflict(_GONE)
        account.password_hash, account.password_changed_at = hashed, now
        await void_links(session, account, now=now)
        await end_sessions_of(session, account, now=now)
        await _tell_change(session, account)
        record_act(
            session,
            tenant_id=tenant_id,
            caller=actor_of(tenant_id, user_id=account.user_id, account_id=account.id),
            action="passwordSet",
            target=str(account.id),
            details={"kind": found.kind.value},
        )
    if throttle is not None:
        await forget_tries(throttle, tenant_id=tenant_id, name=names[0])


async def _names(session: AsyncSession, found: FoundLink) -> list[str]:
    """The one to sign in with is the first: a super admin's address, or a username."""
    row = (
        await session.execute(
            select(Account.email, User.username, Account.name, User.given_name, User.family_name)
            .outerjoin(User, (User.tenant_id == Account.tenant_id) & (User.id == Account.user_id))
            .where(Account.tenant_id == found.tenant_id, Account.id == found.account_id)
        )
    ).one_or_none()
    if row is None:
        raise NotFound("account", str(found.account_id))
    return [text_ for text_ in row if text_]


async def _tell_change(session: AsyncSession, account: Account) -> None:
    to = account.email
    if account.user_id is not None:
        to = await session.scalar(
            select(User.email).where(
                User.tenant_id == account.tenant_id, User.id == account.user_id
            )
        )
    if to:
        tenant = await get_tenant(session, tenant_id=account.tenant_id)
        mail = password_changed_mail(to=to, tenant=tenant.display_name)
        put_mail(session, tenant_id=account.tenant_id, mail=mail)
