"""What follows from a run that has ended: the next try, and mails. Each run is judged once.

A run that ended and is not marked as told is what there is to do: so nothing is lost with a
worker, and nothing that goes wrong here can fail a run.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import exists, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database, set_tenant
from domain.integrations.models import Integration, IntegrationStatus, SyncSchedule
from domain.integrations.retries import FIRST_WAIT, next_try
from domain.integrations.rhythms import read_rhythm
from domain.integrations.schedule import HORIZON, Rhythm, next_due, not_in_blackout
from domain.integrations.standings import SyncStanding
from domain.notifications import runs
from domain.notifications.links import Links
from domain.notifications.notices import Notice
from domain.notifications.outbox import put_mails_once
from domain.notifications.recipients import tell_operators
from domain.notifications.runs import RunFacts
from domain.roster.source import Provider
from domain.sync.models import (
    SUCCESSFUL,
    Hold,
    SyncMode,
    SyncRun,
    SyncRunState,
    SyncTrigger,
    ToldAs,
)
from domain.tenants.contacts import list_contacts
from domain.tenants.models import Delivery, Tenant, TenantStatus
from domain.tenants.service import get_tenant
from domain.validation.codes import Severity
from domain.validation.models import ErrorState, ValidationError
from domain.watch.facts import read_facts
from domain.watch.judging import Ended, Standing, judge, receives
from domain.watch.licences import tell_of_licences
from domain.watch.models import ProviderOutage

_AT_ONCE: Final = 20

log = structlog.get_logger()


class Watch(NamedTuple):
    """What is the same for every tenant of one look."""

    links: Links
    now: datetime
    outages: frozenset[Provider] = frozenset()


async def follow_up(database: Database, *, links: Links, now: datetime) -> int:
    """Judge every run that has ended since the last time. For the worker's role. How many."""
    async with database.read() as session:
        untold = (await session.scalars(text("SELECT tenant_id FROM list_untold_tenants()"))).all()
        outages = await session.scalars(
            select(ProviderOutage.provider).where(ProviderOutage.ended_at.is_(None))
        )
        watch = Watch(links, now, frozenset(outages))
    done = 0
    for tenant_id in untold:
        try:
            async with database.transaction(tenant_id) as session:
                done += await _follow(session, tenant_id, watch)
        except Exception as error:  # noqa: BLE001 - one tenant's trouble is not the others'
            log.error("run_not_told", tenant_id=str(tenant_id), error=type(error).__name__)  # noqa: TRY400
    return done


async def take_standing(session: AsyncSession, tenant_id: UUID) -> SyncStanding:
    """The tenant's own, locked until the transaction ends."""
    await session.execute(insert(SyncStanding).values(tenant_id=tenant_id).on_conflict_do_nothing())
    return (
        await session.scalars(
            select(SyncStanding).where(SyncStanding.tenant_id == tenant_id).with_for_update()
        )
    ).one()


_TRY_TURN: Final = text("SELECT pg_try_advisory_xact_lock(hashtextextended('told ' || :tenant, 0))")
"""Workers that look at the same moment share the tenants instead of waiting for each other."""


async def _follow(session: AsyncSession, tenant_id: UUID, watch: Watch) -> int:
    if not await session.scalar(_TRY_TURN, {"tenant": str(tenant_id)}):
        return 0
    found = await session.scalars(
        select(SyncRun)
        .where(
            SyncRun.tenant_id == tenant_id,
            SyncRun.told_at.is_(None),
            SyncRun.finished_at.is_not(None),
            SyncRun.mode.in_((SyncMode.FULL, SyncMode.DELTA)),
        )
        .order_by(SyncRun.finished_at)
        .limit(_AT_ONCE)
    )
    ended = found.all()
    if not ended:
        return 0
    standing = await take_standing(session, tenant_id)
    tenant = await get_tenant(session, tenant_id=tenant_id)
    for run in ended:
        await _judge(session, tenant, standing, run, watch)
    await session.flush()
    return len(ended)


async def _judge(
    session: AsyncSession, tenant: Tenant, standing: SyncStanding, run: SyncRun, watch: Watch
) -> None:
    ended = await _ended(session, run, watch)
    was_failing = standing.failures > 0 or standing.is_off
    run.told_at, run.told_as = told_at(standing, watch.now), _mark(standing, ended)
    schedule = await _find_schedule(session, run)
    if schedule is not None:
        rhythm = await read_rhythm(session, schedule, time_zone=tenant.time_zone)
        if ended.state is SyncRunState.FAILED:
            if _try_again(schedule, standing, ended, rhythm, watch.now):
                run.told_as = ToldAs.OFF
        elif was_failing and ended.state is not SyncRunState.CANCELLED:
            standing.is_off = False
            schedule.next_due_at = next_due(rhythm, after=watch.now)
    await session.flush()
    if tenant.status is TenantStatus.ACTIVE:
        next_due_at = schedule.next_due_at if schedule else None
        await _tell(session, tenant, run, next_due_at=next_due_at, links=watch.links)
        if run.state in SUCCESSFUL:
            await tell_of_licences(session, tenant=tenant, standing=standing, links=watch.links)


def told_at(standing: SyncStanding, now: datetime) -> datetime:
    """Later than the last daily mail, which another worker may have written since we looked."""
    if standing.digest_from is None:
        return now
    return max(now, standing.digest_from + timedelta(microseconds=1))


async def _ended(session: AsyncSession, run: SyncRun, watch: Watch) -> Ended:
    provider = await session.scalar(
        select(Integration.provider).where(
            Integration.tenant_id == run.tenant_id, Integration.id == run.integration_id
        )
    )
    reasons = await session.scalar(
        select(Hold.reasons).where(Hold.tenant_id == run.tenant_id, Hold.run_id == run.id)
    )
    has_new_errors = await session.scalar(
        select(
            exists(ValidationError.id).where(
                ValidationError.tenant_id == run.tenant_id,
                ValidationError.last_seen_run_id == run.id,
                ValidationError.first_seen_run_id == run.id,
                ValidationError.state == ErrorState.OPEN,
                ValidationError.severity.in_((Severity.FATAL, Severity.HOLD, Severity.ERROR)),
            )
        )
    )
    return Ended(
        state=run.state,
        mode=run.mode,
        trigger=run.trigger,
        code=run.failure_code,
        holds=frozenset(reason["code"] for reason in reasons or ()),
        has_new_errors=bool(has_new_errors),
        at=run.finished_at or watch.now,
        is_outage=provider in watch.outages,
    )


def _mark(standing: SyncStanding, ended: Ended) -> ToldAs:
    judged = judge(
        Standing(
            standing.failures,
            standing.first_failed_at,
            frozenset(standing.told),
            is_late=standing.late_told_at is not None,
        ),
        ended,
    )
    standing.failures = judged.standing.failures
    standing.first_failed_at = judged.standing.first_failed_at
    standing.told = sorted(judged.standing.told)
    if ended.state is not SyncRunState.CANCELLED:
        standing.last_run_at, standing.last_code = ended.at, ended.code
    if ended.state in SUCCESSFUL:
        standing.last_success_at, standing.late_told_at = ended.at, None
    return judged.told_as


async def _find_schedule(session: AsyncSession, run: SyncRun) -> SyncSchedule | None:
    """None where it is paused: then nothing is due, however a run has ended."""
    found: SyncSchedule | None = await session.scalar(
        select(SyncSchedule)
        .join(
            Integration,
            (Integration.tenant_id == SyncSchedule.tenant_id)
            & (Integration.id == SyncSchedule.integration_id),
        )
        .where(
            SyncSchedule.tenant_id == run.tenant_id,
            SyncSchedule.integration_id == run.integration_id,
            Integration.status == IntegrationStatus.ACTIVE,
        )
        .with_for_update(of=SyncSchedule)
    )
    return found


def _try_again(
    schedule: SyncSchedule, standing: SyncStanding, ended: Ended, rhythm: Rhythm, now: datetime
) -> bool:
    """Only after a run of the schedule's, and where it goes on. Whether it was given up now."""
    if ended.trigger is not SyncTrigger.SCHEDULE or schedule.next_due_at is None:
        return False
    # Without a night left, the next try is none of the schedule's.
    regular = next_due(rhythm, after=now) or now + HORIZON
    if ended.is_excused or standing.first_failed_at is None:
        tried: datetime | None = min(ended.at + FIRST_WAIT, regular)
    else:
        tried = next_try(
            failures=standing.failures,
            first_failed_at=standing.first_failed_at,
            now=ended.at,
            regular=regular,
        )
        standing.is_off = tried is None
    schedule.next_due_at = tried and not_in_blackout(rhythm, tried)
    return standing.is_off


async def _tell(
    session: AsyncSession,
    tenant: Tenant,
    run: SyncRun,
    *,
    next_due_at: datetime | None,
    links: Links,
) -> None:
    told_as = run.told_as or ToldAs.NONE
    contacts = await list_contacts(session, tenant_id=tenant.id)
    told = [one for one in contacts if receives(one.summary_mail, told_as)]
    await _note_hold(session, run, [one.email for one in told])
    if told_as is ToldAs.NONE:
        return
    [facts] = await read_facts(
        session, tenant=tenant, runs=[run], next_due_at=next_due_at, links=links
    )
    notice, key = _notice(facts, told_as), f"run {run.id}"
    at_once = [one.email for one in told if one.delivery is Delivery.EACH_RUN]
    await put_mails_once(session, tenant_id=tenant.id, mails=notice.to(at_once), key=key)
    if told_as is ToldAs.OFF:
        await tell_operators(session, notice=notice, key=key)
        await set_tenant(session, tenant.id)


def _notice(facts: RunFacts, told_as: ToldAs) -> Notice:
    match told_as:
        case ToldAs.FAILURE:
            return runs.failure(facts)
        case ToldAs.OFF:
            return runs.switched_off(facts)
        case ToldAs.HOLD:
            return runs.hold(facts)
        case ToldAs.RECOVERED:
            return runs.recovered(facts)
        case _:
            return runs.summary(facts)


async def _note_hold(session: AsyncSession, run: SyncRun, emails: Sequence[str]) -> None:
    """With the hold, who knows of it: who is told now, or was of the same reasons before."""
    if run.state not in {SyncRunState.HELD, SyncRunState.SUCCEEDED_WITH_HOLD}:
        return
    of_tenant = Hold.tenant_id == run.tenant_id
    if run.told_as is ToldAs.NONE:
        former = await session.scalar(
            select(Hold.told)
            .where(of_tenant, Hold.run_id != run.id)
            .order_by(Hold.created_at.desc())
            .limit(1)
        )
        emails = former or []
    await session.execute(
        update(Hold).where(of_tenant, Hold.run_id == run.id).values(told=list(emails))
    )
