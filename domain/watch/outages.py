"""A provider's outage is told from a tenant's own fault: many fail at once, in a passing way.

Only where all tenants speak to the same servers: a OneRoster server is a district's own.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database
from domain.notifications.alarms import outage, outage_over
from domain.notifications.recipients import tell_operators
from domain.roster.source import Provider
from domain.watch.judging import PASSING
from domain.watch.models import ProviderOutage

SHARED: Final = frozenset({Provider.CLEVER, Provider.CLASSLINK})
FEWEST: Final = 5
WITHIN: Final = timedelta(hours=1)
_TIME: Final = "%Y-%m-%d %H:%M UTC"

log = structlog.get_logger()


def is_out(*, was_out: bool, ran: int, failing: int) -> bool:
    """At least five, and half of the tenants whose syncs ran. While none runs it stays as it was.

    It is over when at most a quarter fail, however few ran: about half may fail for hours, and
    operators hear of it once.
    """
    if was_out:
        return failing * 4 > ran or not ran
    return failing >= FEWEST and failing * 2 >= ran


async def watch_providers(database: Database, *, now: datetime) -> None:
    """Notice what has begun and what is over, and tell operators. For the worker's role."""
    async with database.transaction() as session:
        found = await session.execute(
            text("SELECT * FROM count_recent_runs(:since, :codes)"),
            {"since": now - WITHIN, "codes": sorted(PASSING)},
        )
        for row in found.all():
            if Provider(row.provider) in SHARED:
                await _watch(session, row, now=now)


async def _watch(session: AsyncSession, row: Any, *, now: datetime) -> None:
    provider = Provider(row.provider)
    former = await session.scalar(
        select(ProviderOutage)
        .where(ProviderOutage.provider == provider, ProviderOutage.ended_at.is_(None))
        .with_for_update()
    )
    is_now = is_out(was_out=former is not None, ran=row.ran, failing=row.failing)
    if former is None and is_now:
        await _begin(session, provider, row, now=now)
    elif former is not None and not is_now:
        former.ended_at = now
        await session.flush()
        log.info("provider_outage_over", provider=provider)
        notice = outage_over(
            provider.value, began=f"{former.began_at:{_TIME}}", ended=f"{now:{_TIME}}"
        )
        await tell_operators(session, notice=notice, key=f"outage over {former.id}")


async def _begin(session: AsyncSession, provider: Provider, row: Any, *, now: datetime) -> None:
    began = await session.scalar(
        insert(ProviderOutage)
        .values(provider=provider, tenants=row.failing, began_at=row.first_at, noticed_at=now)
        .on_conflict_do_nothing()
        .returning(ProviderOutage.id)
    )
    if began is None:
        return  # another worker has noticed it
    await session.execute(
        text("SELECT excuse_failures(:provider, :since, :codes)"),
        {"provider": provider.value, "since": now - WITHIN, "codes": sorted(PASSING)},
    )
    log.warning("provider_outage", provider=provider, tenants=row.failing)
    notice = outage(
        provider.value, failing=row.failing, ran=row.ran, since=f"{row.first_at:{_TIME}}"
    )
    await tell_operators(session, notice=notice, key=f"outage {began}")
