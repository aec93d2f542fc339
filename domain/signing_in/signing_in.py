"""Signing in: who somebody is, whether they get in, and their session."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database
from domain.people.callers import CallerRole
from domain.people.models import SignInMethodName
from domain.people.sessions import roles_of, start_session
from domain.signing_in.assertions import Assertion
from domain.signing_in.attempts import record_attempt
from domain.signing_in.deciding import Facts, decide
from domain.signing_in.matching import Match, find_person, pin
from domain.signing_in.methods import BY_USERNAME, Method, enabled_methods, methods_of
from domain.signing_in.refusals import RefusalReason, explain
from domain.training.eligibility import is_eligible

log = structlog.get_logger()

_FACTS = text(
    "SELECT t.status, t.time_zone, s.go_live_on, u.id AS user_id, u.roles, u.is_enabled,"  # noqa: S608 - our own SQL
    " u.archived_at, u.origin = 'PROVIDER' AND coalesce(i.provider = 'CLEVER', false)"
    f" AS is_of_clever, {is_eligible('u', user_id='u.id', tenant_id='t.id')} AS is_eligible"
    " FROM tenants t LEFT JOIN subscriptions s ON s.tenant_id = t.id"
    " LEFT JOIN users u ON u.tenant_id = t.id AND u.id = :user_id"
    " LEFT JOIN integrations i ON i.tenant_id = t.id AND i.status <> 'DISCONNECTED'"
    " WHERE t.id = :tenant_id"
)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`token` is the session's, for the browser. Either `user_id` or `account_id` is there."""

    tenant_id: UUID
    session_id: UUID
    token: str = field(repr=False)
    expires_at: datetime
    roles: frozenset[CallerRole]
    user_id: UUID | None
    account_id: UUID | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """`message` is for the person who wanted to sign in."""

    reason: RefusalReason
    tenant_id: UUID | None
    message: str

    @classmethod
    def because(
        cls, reason: RefusalReason, tenant_id: UUID | None = None, *, live_on: date | None = None
    ) -> "Refusal":
        return cls(reason, tenant_id, explain(reason, live_on=live_on))


async def sign_in_by(
    database: Database,
    assertion: Assertion,
    *,
    tenant_id: UUID | None,
    client: str | None,
    now: datetime,
) -> SignedIn | Refusal:
    """Let somebody in whom a provider vouches for.

    `tenant_id` is that of the sign-in page that was used; None where the sign-in began at the
    provider. `client` says which browser it is.
    """
    if tenant_id is None:
        found = await _find_tenant(database, assertion)
        if isinstance(found, RefusalReason):
            log.info("sign_in_refused", reason=found.value)
            return Refusal.because(found)
        tenant_id = found
    try:
        return await _sign_in(database, tenant_id, assertion, client=client, now=now)
    except IntegrityError:
        # Two accounts of one name at the same moment. The other one is bound by now.
        return await _sign_in(database, tenant_id, assertion, client=client, now=now)


async def _find_tenant(database: Database, assertion: Assertion) -> UUID | RefusalReason:
    """Where the key belongs; of several tenants, the one whose roster has the person."""
    if not _has_key(assertion):
        return RefusalReason.NO_KEY
    async with database.read() as session:
        rows = await session.scalars(
            text("SELECT tenant_id FROM find_sign_in_tenants(:method, :key)"),
            {"method": assertion.method.value, "key": assertion.key},
        )
        possible: list[UUID] = list(rows)
    if not possible:
        return RefusalReason.UNKNOWN_TENANT
    if len(possible) > 1:
        possible = await _knowing(database, possible, assertion)
    match possible:
        case []:
            return RefusalReason.NOT_IN_ROSTER
        case [only]:
            return only
        case _:
            return RefusalReason.SEVERAL_TENANTS


def _has_key(assertion: Assertion) -> bool:
    return bool(assertion.key) and "\x00" not in assertion.key


async def _knowing(
    database: Database, possible: Sequence[UUID], assertion: Assertion
) -> list[UUID]:
    """Where they are live; only if that is nowhere, where they are archived."""
    is_live: dict[UUID, bool] = {}
    for tenant_id in possible:
        async with database.read(tenant_id) as session:
            method = await _method(session, tenant_id, assertion.method)
            match = await find_person(
                session, tenant_id=tenant_id, assertion=assertion, method=method
            )
            if match.user_id is not None:
                facts = await read_facts(session, tenant_id=tenant_id, user_id=match.user_id)
                is_live[tenant_id] = not facts.is_archived
    return [one for one in is_live if is_live[one]] or list(is_live)


async def _method(session: AsyncSession, tenant_id: UUID, name: SignInMethodName) -> Method:
    return next(method for method in await methods_of(session, tenant_id) if method.name is name)


async def _sign_in(
    database: Database,
    tenant_id: UUID,
    assertion: Assertion,
    *,
    client: str | None,
    now: datetime,
) -> SignedIn | Refusal:
    async with database.transaction(tenant_id) as session:
        match = await _match(session, tenant_id, assertion)
        if match.user_id is None or match.reason is not None:
            return _refuse(session, tenant_id, assertion.method, match)
        outcome = await open_session(
            session,
            tenant_id=tenant_id,
            user_id=match.user_id,
            account_id=None,
            method=assertion.method,
            client=client,
            now=now,
        )
        if isinstance(outcome, SignedIn) and assertion.method in BY_USERNAME:
            await pin(
                session,
                tenant_id=tenant_id,
                user_id=match.user_id,
                method=assertion.method,
                subject=assertion.subject,
            )
        return outcome


async def _match(session: AsyncSession, tenant_id: UUID, assertion: Assertion) -> Match:
    """Whom the tenant knows by what was said; nothing is told of where else it may belong."""
    if not _has_key(assertion):
        return Match(None, RefusalReason.NO_KEY)
    method = await _method(session, tenant_id, assertion.method)
    if not method.is_enabled:
        return Match(None, RefusalReason.METHOD_OFF)
    if assertion.key not in method.keys:
        return Match(None, RefusalReason.WRONG_TENANT)
    return await find_person(session, tenant_id=tenant_id, assertion=assertion, method=method)


def _refuse(
    session: AsyncSession, tenant_id: UUID, method: SignInMethodName, match: Match
) -> Refusal:
    reason = match.reason or RefusalReason.NOT_IN_ROSTER
    record_attempt(
        session, tenant_id=tenant_id, method=method, user_id=match.user_id, reason=reason
    )
    log.info("sign_in_refused", tenant_id=str(tenant_id), reason=reason.value)
    return Refusal.because(reason, tenant_id)


async def open_session(  # noqa: PLR0913 - what a session is made of
    session: AsyncSession,
    *,
    tenant_id: UUID,
    user_id: UUID | None,
    account_id: UUID | None,
    method: SignInMethodName,
    client: str | None,
    now: datetime,
) -> SignedIn | Refusal:
    """Let somebody in who has proved who they are, if they may come in; kept as an attempt.

    Of the roster's people `user_id` counts, and `account_id` only says how they signed in.
    """
    facts = await read_facts(session, tenant_id=tenant_id, user_id=user_id)
    reason = decide(facts, method, now)
    record_attempt(
        session,
        tenant_id=tenant_id,
        method=method,
        user_id=user_id,
        account_id=account_id,
        reason=reason,
    )
    if reason:
        log.info("sign_in_refused", tenant_id=str(tenant_id), reason=reason.value)
        return Refusal.because(reason, tenant_id, live_on=facts.live_on)
    started, token = await start_session(
        session,
        tenant_id=tenant_id,
        user_id=user_id,
        account_id=account_id,
        roles=facts.roles,
        method=method,
        client=client,
        now=now,
    )
    return SignedIn(
        tenant_id=tenant_id,
        session_id=started.id,
        token=token,
        expires_at=started.expires_at,
        roles=facts.roles,
        user_id=user_id,
        account_id=None if user_id else account_id,
    )


async def read_facts(session: AsyncSession, *, tenant_id: UUID, user_id: UUID | None) -> Facts:
    """What decides about a person of the roster, or, without one, about a super admin."""
    row = (await session.execute(_FACTS, {"tenant_id": tenant_id, "user_id": user_id})).one()
    methods = await enabled_methods(session, tenant_id)
    is_super_admin = user_id is None
    return Facts(
        roles=roles_of(row.roles or (), is_super_admin=is_super_admin),
        methods=frozenset(method.name for method in methods),
        is_closed=row.status == "CLOSED",
        is_archived=row.archived_at is not None,
        is_enabled=is_super_admin or bool(row.is_enabled),
        is_eligible=is_super_admin or bool(row.is_eligible),
        is_of_clever=bool(row.is_of_clever),
        time_zone=row.time_zone,
        live_on=row.go_live_on,
    )
