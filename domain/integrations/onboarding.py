"""Districts that share with us at a provider: what was seen of them, and which tenant is theirs."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.integrations.models import OnboardingRequest
from domain.roster.source import Provider


class Share(NamedTuple):
    """A district in a provider's own list. Without a name, the one that was seen before counts."""

    external_id: str
    name: str | None


class Seen(NamedTuple):
    """What is different from the time before, as external ids."""

    requested: tuple[str, ...] = ()  # never seen before
    renewed: tuple[str, ...] = ()  # shared again
    withdrawn: tuple[str, ...] = ()  # not shared any more


class Onboarding(NamedTuple):
    """`tenant_slug` is None until a tenant is connected to the district."""

    provider: Provider
    external_id: str
    name: str
    first_seen_at: datetime
    last_seen_at: datetime
    is_shared: bool
    tenant_id: UUID | None
    tenant_slug: str | None


async def record_shares(
    session: AsyncSession, *, provider: Provider, shares: Sequence[Share], now: datetime
) -> Seen:
    """Compare a provider's whole list with what was seen before. Without a tenant, as the worker.

    An empty list changes nothing: that every district has left at once is less likely than that
    the provider's list is broken.
    """
    if not shares:
        return Seen()
    before = await _read_before(session, provider)
    seen = {share.external_id: share for share in shares}
    await _store(session, provider, seen.values(), now=now)
    withdrawn = sorted(key for key, is_shared in before.items() if is_shared and key not in seen)
    if withdrawn:
        await session.execute(
            update(OnboardingRequest)
            .where(
                OnboardingRequest.provider == provider,
                OnboardingRequest.external_id.in_(withdrawn),
            )
            .values(is_shared=False)
        )
    return Seen(
        requested=tuple(sorted(seen.keys() - before.keys())),
        renewed=tuple(sorted(key for key in seen if before.get(key) is False)),
        withdrawn=tuple(withdrawn),
    )


async def _read_before(session: AsyncSession, provider: Provider) -> dict[str, bool]:
    """Whether each district that was ever seen is shared, so far as we know."""
    rows = await session.execute(
        select(OnboardingRequest.external_id, OnboardingRequest.is_shared).where(
            OnboardingRequest.provider == provider
        )
    )
    return {row.external_id: row.is_shared for row in rows}


async def _store(
    session: AsyncSession, provider: Provider, shares: Iterable[Share], *, now: datetime
) -> None:
    statement = insert(OnboardingRequest)
    statement = statement.on_conflict_do_update(
        index_elements=["provider", "external_id"],
        set_={
            # A name that could not be asked for came in as the id.
            "name": func.coalesce(
                func.nullif(statement.excluded.name, statement.excluded.external_id),
                OnboardingRequest.name,
            ),
            "last_seen_at": statement.excluded.last_seen_at,
            "is_shared": True,
        },
    )
    await session.execute(
        statement,
        [
            {
                "provider": provider,
                "external_id": share.external_id,
                "name": share.name or share.external_id,
                "first_seen_at": now,
                "last_seen_at": now,
                "is_shared": True,
            }
            for share in shares
        ],
    )


async def list_onboarding(session: AsyncSession) -> list[Onboarding]:
    """The latest first. For operators, without a tenant."""
    rows = await session.execute(
        text(
            "SELECT r.provider, r.external_id, r.name, r.first_seen_at, r.last_seen_at,"
            " r.is_shared, r.tenant_id, t.slug"
            " FROM list_onboarding_requests() r LEFT JOIN list_tenants() t ON t.id = r.tenant_id"
            " ORDER BY r.first_seen_at DESC, r.id DESC"
        )
    )
    return [Onboarding(Provider(provider), *rest) for provider, *rest in rows]
