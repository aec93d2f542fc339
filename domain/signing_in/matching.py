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

_BY_SOURCE_ID = text("SELECT id FROM users WHERE tenant_id = :tenant_id AND source_id = :source_id")
_BY_FORMER_ID = text(
    # An id that somebody had before the provider made a new one, or before a merge. Not after a
    # switch of provider, when it may be another's, nor while an administrator is asked about it.
    "WITH RECURSIVE known AS ("
    " SELECT u.id, u.merged_into_id, u.archived_at FROM external_keys x"
    " JOIN users u ON u.tenant_id = x.tenant_id AND u.id = x.record_id"
    " WHERE x.tenant_id = :tenant_id AND x.record_type = 'USER' AND x.kind = 'source_id'"
    " AND x.value = :source_id AND NOT EXISTS (SELECT FROM integrations i"
    " WHERE i.tenant_id = x.tenant_id AND i.status <> 'DISCONNECTED'"
    " AND i.former_provider IS NOT NULL) AND NOT EXISTS (SELECT FROM match_candidates m"
    " WHERE m.tenant_id = x.tenant_id AND m.record_type = 'USER' AND m.source_id = x.value"
    " AND m.resolved_at IS NULL)"
    " UNION SELECT u.id, u.merged_into_id, u.archived_at FROM users u"
    " JOIN known k ON u.tenant_id = :tenant_id AND u.id = k.merged_into_id)"
    " SELECT id, archived_at FROM known WHERE merged_into_id IS NULL ORDER BY id"
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
    """`reason` None: it is this person. With one, `user_id` is who it would have been, if any."""

    user_id: UUID | None
    reason: RefusalReason | None = None


_NOBODY = Match(None, RefusalReason.NOT_IN_ROSTER)


async def find_person(
    session: AsyncSession, *, tenant_id: UUID, assertion: Assertion, method: Method
) -> Match:
    """Nothing is written. Never by the mail address of the roster, which proves nothing (L2)."""
    if not assertion.subject or "\x00" in assertion.subject:
        return Match(None, RefusalReason.NO_KEY)
    if assertion.method in BY_SOURCE_ID:
        return await _by_source_id(session, tenant_id, assertion.subject)
    return await _by_username(session, tenant_id, assertion, method)


async def _by_source_id(session: AsyncSession, tenant_id: UUID, source_id: str) -> Match:
    values = {"tenant_id": tenant_id, "source_id": source_id}
    found: UUID | None = await session.scalar(_BY_SOURCE_ID, values)
    if found is not None:
        return Match(found)
    former = (await session.execute(_BY_FORMER_ID, values)).all()
    match [row for row in former if row.archived_at is None] or former:
        case []:
            return _NOBODY
        case [only]:
            return Match(only.id)
        case _:
            return Match(None, RefusalReason.SEVERAL_PEOPLE)


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
    found: UUID | None = pinned.id if pinned else None
    if pinned is None or pinned.archived_at is not None:
        # Somebody who left and came back may be stored anew, under the same username.
        found = await _named(session, tenant_id, _username(assertion, method)) or found
    if found is None:
        return _NOBODY
    other = await session.scalar(
        select(Identity.subject).where(
            Identity.tenant_id == tenant_id,
            Identity.user_id == found,
            Identity.method == assertion.method,
        )
    )
    is_theirs = other in {None, assertion.subject}
    return Match(found, None if is_theirs else RefusalReason.OTHER_SUBJECT)


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
) -> None:
    """Bind the person to the account; an account goes on with who was stored anew or merged.

    Raises IntegrityError where another account of the person was bound a moment ago.
    """
    await session.execute(
        insert(Identity)
        .values(tenant_id=tenant_id, user_id=user_id, method=method, subject=subject)
        .on_conflict_do_update(
            index_elements=["tenant_id", "method", "subject"],
            set_={"user_id": user_id, "last_used_at": func.now()},
        )
    )
