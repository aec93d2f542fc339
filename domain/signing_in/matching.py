"""Which person of a tenant a provider means."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.people.models import Identity, SignInMethodName, UsernameComparison
from domain.signing_in.assertions import Assertion
from domain.signing_in.methods import BY_SOURCE_ID, Method
from domain.signing_in.refusals import RefusalReason

_BY_SOURCE_ID = text(
    # Somebody who was merged into somebody else signs in as them.
    "WITH RECURSIVE known AS ("
    " SELECT id, merged_into_id FROM users"
    " WHERE tenant_id = :tenant_id AND source_id = :source_id AND origin = 'PROVIDER'"
    " UNION SELECT u.id, u.merged_into_id FROM users u"
    " JOIN known k ON u.tenant_id = :tenant_id AND u.id = k.merged_into_id)"
    " SELECT id FROM known WHERE merged_into_id IS NULL"
)
_BY_PIN = text(
    "WITH RECURSIVE known AS ("
    " SELECT u.id, u.merged_into_id, u.archived_at FROM identities i"
    " JOIN users u ON u.tenant_id = i.tenant_id AND u.id = i.user_id"
    " WHERE i.tenant_id = :tenant_id AND i.method = :method AND i.subject = :subject"
    " UNION SELECT u.id, u.merged_into_id, u.archived_at FROM users u"
    " JOIN known k ON u.tenant_id = :tenant_id AND u.id = k.merged_into_id)"
    " SELECT id, archived_at FROM known WHERE merged_into_id IS NULL"
)
_BY_USERNAME = text(
    "SELECT id FROM users WHERE tenant_id = :tenant_id"
    ' AND username_key = casefold(:username COLLATE "pg_unicode_fast")'
)


class Match(NamedTuple):
    """`user_id` None: nobody, and `reason` says why."""

    user_id: UUID | None
    reason: RefusalReason | None = None


async def find_person(
    session: AsyncSession, *, tenant_id: UUID, assertion: Assertion, method: Method
) -> Match:
    """Nothing is written. Never by the mail address of the roster, which proves nothing (L2)."""
    if not assertion.subject or "\x00" in assertion.subject:
        return Match(None, RefusalReason.NO_KEY)
    if assertion.method in BY_SOURCE_ID:
        return _match(await _by_source_id(session, tenant_id, assertion.subject))
    return await _by_username(session, tenant_id, assertion, method)


def _match(user_id: UUID | None) -> Match:
    return Match(user_id, None if user_id else RefusalReason.NOT_IN_ROSTER)


async def _by_source_id(session: AsyncSession, tenant_id: UUID, source_id: str) -> UUID | None:
    values = {"tenant_id": tenant_id, "source_id": source_id}
    found: UUID | None = await session.scalar(_BY_SOURCE_ID, values)
    return found


async def _by_username(
    session: AsyncSession, tenant_id: UUID, assertion: Assertion, method: Method
) -> Match:
    pinned = (
        await session.execute(
            _BY_PIN,
            {
                "tenant_id": tenant_id,
                "method": assertion.method.value,
                "subject": assertion.subject,
            },
        )
    ).one_or_none()
    if pinned is not None and pinned.archived_at is None:
        return Match(pinned.id)
    # Somebody who left and came back may be stored anew, under the same username.
    named = await _named(session, tenant_id, _username(assertion, method))
    if named is None:
        return _match(pinned.id if pinned else None)
    other = await session.scalar(
        select(Identity.subject).where(
            Identity.tenant_id == tenant_id,
            Identity.user_id == named,
            Identity.method == assertion.method,
        )
    )
    if other not in {None, assertion.subject}:
        return Match(None, RefusalReason.OTHER_SUBJECT)
    return Match(named)


def _username(assertion: Assertion, method: Method) -> str:
    address = (assertion.address or "").strip()
    if method.compares is UsernameComparison.LOCAL_PART:
        return address.rpartition("@")[0]
    return address


async def _named(session: AsyncSession, tenant_id: UUID, username: str) -> UUID | None:
    if not username or "\x00" in username:
        return None
    values = {"tenant_id": tenant_id, "username": username}
    found: UUID | None = await session.scalar(_BY_USERNAME, values)
    return found


async def pin(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    user_id: UUID,
    method: SignInMethodName,
    subject: str,
) -> bool:
    """Bind the person to the account. False: somebody else was quicker, with another one."""
    written = await session.execute(
        insert(Identity)
        .values(tenant_id=tenant_id, user_id=user_id, method=method, subject=subject)
        .on_conflict_do_update(
            index_elements=["tenant_id", "method", "subject"],
            set_={"user_id": user_id, "last_used_at": func.now()},
        )
        .returning(Identity.id)
    )
    return written.one_or_none() is not None
