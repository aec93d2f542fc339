"""Operators hear of districts that begin or cease to share with the product (T3)."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from domain.integrations.onboarding import Seen, Share
from domain.notifications.alarms import SharedDistrict, new_shares
from domain.notifications.recipients import tell_operators
from domain.roster.source import Provider


async def tell_of_shares(
    session: AsyncSession,
    *,
    provider: Provider,
    seen: Seen,
    shares: Sequence[Share],
    now: datetime,
) -> None:
    """In the transaction that records them, which has no tenant."""
    names = {share.external_id: share.name for share in shares}
    changes = {"REQUESTED": seen.requested, "RENEWED": seen.renewed, "WITHDRAWN": seen.withdrawn}
    districts = [
        SharedDistrict(change, names.get(external_id) or "A district", external_id)
        for change, external_ids in changes.items()
        for external_id in external_ids
    ]
    if districts:
        await tell_operators(
            session,
            notice=new_shares(provider.value, districts),
            key=f"shares {provider.value} {now.isoformat()}",
        )
