"""The day's runs in one mail, for contacts who want no more than that."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database
from domain.integrations.models import SyncSchedule
from domain.integrations.schedule import local_instant
from domain.notifications.links import Links
from domain.notifications.outbox import put_mails_once
from domain.notifications.runs import digest
from domain.sync.models import SyncRun, ToldAs
from domain.tenants.contacts import list_contacts
from domain.tenants.models import Contact, Delivery, Tenant
from domain.tenants.service import check_time_zone, get_tenant
from domain.watch.facts import read_facts
from domain.watch.following import take_standing
from domain.watch.judging import receives
from domain.watch.times import words_of_day

AT: Final = time(7, 0)
"""Of the tenant's clock: when the night is over, and before the day begins."""
LONGEST: Final = timedelta(days=2)
"""What is older is no news, should nobody have wanted digests for a while."""
MOST_RUNS: Final = 50

log = structlog.get_logger()


def next_digest(zone: ZoneInfo, after: datetime) -> datetime:
    """The first such hour later than `after`."""
    day = after.astimezone(zone).date()
    instant = local_instant(day, AT, zone)
    return instant if instant > after else local_instant(day + timedelta(days=1), AT, zone)


async def write_digests(database: Database, *, links: Links, now: datetime) -> int:
    """For every tenant whose hour has come. For the worker's role. How many tenants."""
    async with database.read() as session:
        due = await session.scalars(
            text("SELECT tenant_id FROM list_due_digests(:now)"), {"now": now}
        )
        tenant_ids = due.all()
    done = 0
    for tenant_id in tenant_ids:
        try:
            async with database.transaction(tenant_id) as session:
                done += await _write(session, tenant_id, links, now=now)
        except Exception as error:  # noqa: BLE001 - one tenant's trouble is not the others'
            log.error("digest_not_written", tenant_id=str(tenant_id), error=type(error).__name__)  # noqa: TRY400
    return done


async def _write(session: AsyncSession, tenant_id: UUID, links: Links, *, now: datetime) -> bool:
    """False: another worker was first, or it was not known yet when the hour is."""
    standing = await take_standing(session, tenant_id)
    due, since = standing.digest_due_at, standing.digest_from
    if due is not None and due > now:
        return False
    tenant = await get_tenant(session, tenant_id=tenant_id)
    zone = check_time_zone(tenant.time_zone)
    standing.digest_due_at, standing.digest_from = next_digest(zone, now), now
    await session.flush()
    if due is None or since is None:
        return False
    contacts = await list_contacts(session, tenant_id=tenant_id)
    runs = await _read_runs(session, tenant_id, since=max(since, now - LONGEST), until=now)
    key = f"digest {due.isoformat()}"
    await _put(session, tenant, runs, contacts=contacts, links=links, key=key)
    return True


async def _put(
    session: AsyncSession,
    tenant: Tenant,
    runs: Sequence[SyncRun],
    *,
    contacts: Sequence[Contact],
    links: Links,
    key: str,
) -> None:
    daily = [one for one in contacts if one.delivery is Delivery.DAILY]
    recipients = [
        one.email
        for one in daily
        if any(receives(one.summary_mail, run.told_as or ToldAs.NONE) for run in runs)
    ]
    if not recipients:
        return
    next_due_at = await session.scalar(
        select(SyncSchedule.next_due_at).where(
            SyncSchedule.tenant_id == tenant.id,
            SyncSchedule.integration_id == runs[-1].integration_id,
        )
    )
    facts = await read_facts(
        session, tenant=tenant, runs=runs, next_due_at=next_due_at, links=links
    )
    zone = check_time_zone(tenant.time_zone)
    day = words_of_day((runs[-1].told_at or runs[-1].requested_at).astimezone(zone).date())
    notice = digest(tenant.display_name, day, facts)
    await put_mails_once(session, tenant_id=tenant.id, mails=notice.to(recipients), key=key)


async def _read_runs(
    session: AsyncSession, tenant_id: UUID, *, since: datetime, until: datetime
) -> Sequence[SyncRun]:
    """Those that contacts are told of, in their order; of very many the last."""
    found = await session.scalars(
        select(SyncRun)
        .where(
            SyncRun.tenant_id == tenant_id,
            SyncRun.told_at > since,
            SyncRun.told_at <= until,
            SyncRun.told_as != ToldAs.NONE,
        )
        .order_by(SyncRun.finished_at.desc())
        .limit(MOST_RUNS)
    )
    return found.all()[::-1]
