"""Asking for runs. A run is a row; the queue only wakes a worker."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.integrations.existing_accounts import require_policy
from domain.integrations.models import Integration, IntegrationStatus, SharingSubject
from domain.integrations.service import get_integration
from domain.jobs import WAKE, enqueue
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.source import Provider
from domain.sync.models import (
    PICKED_MODES,
    SUCCESSFUL,
    SyncMode,
    SyncRun,
    SyncRunState,
    SyncTrigger,
)
from domain.sync.progress import usual_seconds

OFFERED_MODES = frozenset({SyncMode.FULL, SyncMode.DELTA, SyncMode.PREFLIGHT}) | PICKED_MODES
_JUDGES_EXISTING_ACCOUNTS = frozenset({SyncMode.FULL, SyncMode.DELTA, SyncMode.PREFLIGHT})
DELTA_PROVIDERS = frozenset({Provider.ONEROSTER, Provider.CLASSLINK, Provider.ONEROSTER_CSV})
"""Those that can tell what has changed since a moment."""


class Asked(NamedTuple):
    """What a run is for, beyond its mode; see SyncRun."""

    approves_run_id: UUID | None = None
    reverts_run_id: UUID | None = None
    target: Mapping[str, Any] | None = None

    def is_done_by(self, run: SyncRun) -> bool:
        """Whether a run that is there already does this; whoever only wants a sync, has one."""
        return (
            run.reverts_run_id == self.reverts_run_id
            and self.approves_run_id in (None, run.approves_run_id)
            and (self.target == run.target or self._is_content(run))
        )

    def _is_content(self, run: SyncRun) -> bool:
        """What a preflight shows depends on what it was asked for."""
        return self.target is None and run.mode is not SyncMode.PREFLIGHT


PLAIN = Asked()


class Requested(NamedTuple):
    """`joined`: the run was there already, waiting or under way."""

    run: SyncRun
    joined: bool


async def request_run(  # noqa: PLR0913 - what a run is made of
    session: AsyncSession,
    *,
    tenant_id: UUID,
    mode: SyncMode,
    trigger: SyncTrigger,
    caller: Caller,
    now: datetime,
    sharing_rules: Mapping[SharingSubject, Sequence[str]] | None = None,
    asked: Asked = PLAIN,
) -> Requested:
    """Join a waiting or running run of the same mode, or take the tenant's queued place.

    `sharing_rules` are tried out by a preflight; without them it takes those that are saved. An
    approval is given to a waiting run of the same mode, since that has not begun.

    Raises Conflict where another mode or a preview of other rules already waits there, or the
    integration is not active, and where it was not chosen what becomes of existing accounts.
    """
    if mode not in OFFERED_MODES:
        raise InvalidInput("mode", f"{mode.value} cannot be started.")
    if sharing_rules is not None and mode is not SyncMode.PREFLIGHT:
        raise InvalidInput("mode", "Sharing rules are tried out by a preflight only.")
    if mode in PICKED_MODES and asked.target is None:
        raise InvalidInput("mode", f"A run of mode {mode.value} needs to know of what.")
    await take_turn(session, tenant_id=tenant_id)
    integration = await get_integration(session, tenant_id=tenant_id)
    _require_able(integration, mode)
    if mode in _JUDGES_EXISTING_ACCOUNTS:
        await require_policy(session, integration)
    drafts = None
    if sharing_rules is not None:
        drafts = {subject.value: list(values) for subject, values in sharing_rules.items()}
    joined = await _join(session, tenant_id=tenant_id, mode=mode, drafts=drafts, asked=asked)
    if joined is not None:
        record_act(
            session,
            tenant_id=tenant_id,
            caller=caller,
            action="syncRunStart",
            target=str(joined.id),
            details={"mode": mode.value, "joined": True},
        )
        enqueue(session, WAKE)
        return Requested(joined, joined=True)
    last = None if mode in PICKED_MODES else await _last_like(session, tenant_id)
    expected = int(last.progress.get("read", 0)) if last else 0
    run = SyncRun(
        tenant_id=tenant_id,
        integration_id=integration.id,
        mode=mode,
        trigger=trigger,
        state=SyncRunState.QUEUED,
        requested_by=caller.actor,
        requested_at=now,
        size_class=await _size_class(session, tenant_id, mode),
        progress={
            "read": 0,
            "expected": expected,
            "usual": usual_seconds(last.phases) if last else {},
        },
        approves_run_id=asked.approves_run_id,
        reverts_run_id=asked.reverts_run_id,
        # Without a value the column stays NULL; None would be JSON's null.
        **({} if asked.target is None else {"target": dict(asked.target)}),
        **({} if drafts is None else {"sharing_rules": drafts}),
    )
    session.add(run)
    await session.flush()
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="syncRunStart",
        target=str(run.id),
        details={"mode": mode.value},
    )
    enqueue(session, WAKE)
    return Requested(run, joined=False)


async def take_turn(session: AsyncSession, *, tenant_id: UUID) -> None:
    """Requests of one tenant wait for each other, so that two at once see each other's run."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant_id, 0))"),
        {"tenant_id": str(tenant_id)},
    )


async def try_turn(session: AsyncSession, *, tenant_id: UUID) -> bool:
    """Like take_turn, but for whoever comes again instead of waiting."""
    return bool(
        await session.scalar(
            text("SELECT pg_try_advisory_xact_lock(hashtextextended(:tenant_id, 0))"),
            {"tenant_id": str(tenant_id)},
        )
    )


def _require_able(integration: Integration, mode: SyncMode) -> None:
    if mode is SyncMode.DELTA and integration.provider not in DELTA_PROVIDERS:
        raise InvalidInput(
            "mode",
            f"{integration.provider.value.title()} cannot tell what changed since the last run;"
            " start a run of mode FULL.",
        )
    if integration.status is not IntegrationStatus.ACTIVE:
        raise Conflict("The integration is paused; resume it first.")
    if mode in PICKED_MODES and integration.rostered_at is None:
        raise Conflict("The first sync has not been applied yet; single records come after it.")


async def _join(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    mode: SyncMode,
    drafts: Mapping[str, list[str]] | None,
    asked: Asked,
) -> SyncRun | None:
    """The unfinished run that does what is asked for. Raises Conflict if another is in the way."""
    unfinished = (
        await session.scalars(
            select(SyncRun)
            .where(SyncRun.tenant_id == tenant_id, SyncRun.finished_at.is_(None))
            .order_by(SyncRun.requested_at)
        )
    ).all()
    for run in unfinished:
        if run.mode is mode and run.sharing_rules == drafts and asked.is_done_by(run):
            return run
    if any(run.mode is mode and run.sharing_rules != drafts for run in unfinished):
        raise Conflict("A preview of other sharing rules is under way; try again after it.")
    for run in unfinished:
        if run.state is SyncRunState.QUEUED:
            if _takes_approval(run, mode, asked):
                run.approves_run_id = asked.approves_run_id
                if asked.target is not None:
                    run.target = dict(asked.target)
                return run
            raise Conflict(
                f"A run of mode {run.mode.value} is already waiting; try again after it."
            )
    return None


def _takes_approval(run: SyncRun, mode: SyncMode, asked: Asked) -> bool:
    return bool(asked.approves_run_id and run.mode is mode and run.approves_run_id is None)


async def _last_like(session: AsyncSession, tenant_id: UUID) -> SyncRun | None:
    """The tenant's last finished run that read all; None before the first.

    A preflight reads as much, but the next run is measured by what was taken over; others read
    little or nothing.
    """
    run: SyncRun | None = await session.scalar(
        select(SyncRun)
        .where(
            SyncRun.tenant_id == tenant_id,
            SyncRun.finished_at.is_not(None),
            SyncRun.mode.in_((SyncMode.FULL, SyncMode.DELTA)),
            SyncRun.state != SyncRunState.CANCELLED,
        )
        .order_by(SyncRun.id.desc())
        .limit(1)
    )
    return run


async def _size_class(session: AsyncSession, tenant_id: UUID, mode: SyncMode) -> int:
    """The number of digits of what it is going to read; 0 where nobody knows.

    Runs that failed may have read less than there is, and so may deltas.
    """
    if mode in PICKED_MODES:
        return 1
    alike = {SyncMode.FULL, SyncMode.PREFLIGHT, mode}
    read = await session.scalar(
        select(SyncRun.progress["read"].as_integer())
        .where(
            SyncRun.tenant_id == tenant_id,
            SyncRun.mode.in_(alike),
            SyncRun.state.in_((*SUCCESSFUL, SyncRunState.HELD)),
        )
        .order_by(SyncRun.id.desc())
        .limit(1)
    )
    return len(str(read)) if read else 0


async def get_run(session: AsyncSession, *, tenant_id: UUID, run_id: UUID) -> SyncRun:
    run = await session.scalar(
        select(SyncRun).where(SyncRun.tenant_id == tenant_id, SyncRun.id == run_id)
    )
    if run is None:
        raise NotFound("sync run", run_id)
    return run
