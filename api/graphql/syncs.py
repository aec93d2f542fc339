"""Sync runs: what they did, where they are, and starting one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast
from uuid import UUID

import strawberry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry import Private
from typing_extensions import override

from api.graphql.change_parts import SyncChange, make_change
from api.graphql.changes import ChangesOfRuns, SyncChangeFilter
from api.graphql.connection import Connection, Listing, connect_nested
from api.graphql.context import Info
from api.graphql.cursors import scope_of
from api.graphql.described import describe
from api.graphql.errors import UserError, user_errors
from api.graphql.holds import Hold, holds_of_runs
from api.graphql.loaders import Loaded
from api.graphql.node import TENANT_CODE, GlobalId, Node, find_node, load, read_id
from api.graphql.pages import OrderDirection, PageArguments, Paged, Sorting
from api.graphql.permissions import Permitted
from api.graphql.preflight import PreflightReport
from api.graphql.run_parts import (
    Actor,
    SyncCount,
    SyncFailure,
    SyncLeftOut,
    SyncPhase,
    SyncProgress,
)
from api.graphql.run_steps import SyncRunUserInput, SyncStep
from api.graphql.targets import INPUT, tenant_of
from api.graphql.validation import ErrorsOfRuns, ValidationError, bounded
from api.graphql.visible_counts import counts_of_runs
from domain.clock import utc_now
from domain.errors import DomainError, InvalidInput
from domain.global_ids import RUN_CODE
from domain.people.callers import Caller
from domain.sync import models
from domain.sync.models import SyncMode, SyncRunState, SyncTrigger
from domain.sync.on_demand import request_on_demand
from domain.sync.progress import RunProgress
from domain.sync.service import Requested
from domain.sync.spans import RunSpan
from domain.sync.targets import request_user_run
from domain.tenants.service import get_tenant

if TYPE_CHECKING:
    from api.graphql.tenants import Tenant


RunId = Annotated[strawberry.ID, strawberry.argument(description="The run's id.")]
ChangeFilter = Annotated[
    SyncChangeFilter | None, strawberry.argument(description="Which changes are wanted.")
]


@strawberry.type(description="One attempt to make what is stored equal what the provider shares.")
class SyncRun(Node):
    type_code: ClassVar[str] = RUN_CODE
    row: ClassVar[type[Any]] = models.SyncRun
    guard: ClassVar[str | None] = "Query.syncRun"
    derived: ClassVar[tuple[str, ...]] = (
        "phase",
        "progress",
        "requested_by",
        "all_counts",
        "left_out",
        "failure",
        "cancelled_by",
        "steps",
    )
    sources: ClassVar[tuple[str, ...]] = (
        "requested_by",
        "counts",
        "left_out",
        "progress",
        "phases",
        "failure_code",
        "failure_message",
        "cancelled_by",
        "steps",
    )

    trigger: SyncTrigger = strawberry.field(description="What asked for it.")
    mode: SyncMode = strawberry.field(description="What it does.")
    state: SyncRunState = strawberry.field(description="Where it is in its life.")
    requested_at: datetime = strawberry.field(description="When it was asked for.")
    started_at: datetime | None = strawberry.field(description="When a worker began it.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")
    phase: SyncPhase | None = strawberry.field(
        description="The phase that it is in, or ended in; null before it starts."
    )
    progress: SyncProgress = strawberry.field(
        description="How far it has come.", permission_classes=[Permitted]
    )
    requested_by: Actor | None = strawberry.field(description="Who asked for it.")
    all_counts: Private[Mapping[str, Any]]
    left_out: list[SyncLeftOut] = strawberry.field(
        description="What the sharing rules left out, by rule and kind of record.",
        permission_classes=[Permitted],
    )
    failure: SyncFailure | None = strawberry.field(
        description="Why it failed, if it did.", permission_classes=[Permitted]
    )
    report: Private[dict[str, Any] | None]
    cancel_requested_at: datetime | None = strawberry.field(
        description="When somebody cancelled it; its worker stops within seconds after that."
    )
    cancelled_by: Actor | None = strawberry.field(description="Who cancelled it.")
    steps: list[SyncStep] = strawberry.field(
        description="What a run of mode SINGLE_USER or REVALIDATION found out; empty for others.",
        permission_classes=[Permitted],
    )
    reverts_run_id: Private[UUID | None]

    @classmethod
    @override
    def derive(cls, row: Any) -> Mapping[str, Any]:
        progress = SyncProgress.of(
            RunProgress.read_from(row.state, row.progress, row.phases, now=utc_now())
        )
        failure = SyncFailure.of(row.failure_code, row.failure_message or "")
        return {
            "phase": progress.phase,
            "progress": progress,
            "requested_by": Actor.of(row.requested_by),
            "all_counts": row.counts,
            "left_out": SyncLeftOut.list_of(row.left_out),
            "failure": failure if row.failure_code else None,
            "cancelled_by": Actor.of(row.cancelled_by) if row.cancelled_by else None,
            "steps": SyncStep.list_of(row.steps),
        }

    @strawberry.field(
        graphql_type=list[SyncCount],
        description="What it did, by kind of record; for who sees a part of the tenant, with the "
        "records in that part.",
    )
    def counts(self, info: Info) -> list[SyncCount] | Loaded[list[SyncCount]]:
        if info.context.caller.reach is None:
            return SyncCount.list_of(self.all_counts)
        key = (self.tenant_id, self._span())
        found = info.context.loaders.of(counts_of_runs).load(key)
        return Loaded(found, lambda counts: counts or [])

    def _span(self) -> RunSpan:
        return RunSpan.of(self.key, self.started_at, self.finished_at)

    @strawberry.field(
        description="The tenant whose roster it syncs.", permission_classes=[Permitted]
    )
    async def tenant(
        self, info: Info
    ) -> Annotated["Tenant", strawberry.lazy("api.graphql.tenants")]:
        tenant = await find_node(info, GlobalId(TENANT_CODE, self.tenant_id, self.tenant_id))
        return cast("Tenant", tenant)

    @strawberry.field(
        description="The run that it undoes, if its mode is REVERT.",
        permission_classes=[Permitted],
    )
    async def reverts(
        self, info: Info
    ) -> Annotated["SyncRun", strawberry.lazy("api.graphql.syncs")] | None:
        if self.reverts_run_id is None:
            return None
        return await load(info, SyncRun, self.tenant_id, self.reverts_run_id)

    @strawberry.field(
        description="The run that has undone it, if one has.", permission_classes=[Permitted]
    )
    async def reverted_by(
        self, info: Info
    ) -> Annotated["SyncRun", strawberry.lazy("api.graphql.syncs")] | None:
        return await info.context.loaders.of(reverts_of_runs).load((self.tenant_id, self.key))

    @strawberry.field(
        description="What a preflight found; null for other runs, and until it has.",
        permission_classes=[Permitted],
    )
    def preflight(self) -> PreflightReport | None:
        return PreflightReport.of(self.report, tenant_id=self.tenant_id, run_id=self.key)

    @strawberry.field(
        description="Why its plan waits, if it does or did.", permission_classes=[Permitted]
    )
    async def hold(self, info: Info) -> Hold | None:
        return await info.context.loaders.of(holds_of_runs).load((self.tenant_id, self.key))

    @strawberry.field(
        description="What it changed, or would change while it is held, in the order of the ids.",
        extensions=[Paged()],
        permission_classes=[Permitted],
    )
    async def changes(
        self, info: Info, page: PageArguments, filter: ChangeFilter = None
    ) -> Connection[SyncChange]:
        chosen = filter or SyncChangeFilter()
        listing = ChangesOfRuns(chosen.record_type, chosen.action, chosen.is_waiting)
        owner = (self.tenant_id, tuple(self._span()))
        return await connect_nested(info, listing, page, of=owner, make=make_change)

    @strawberry.field(
        description="The validation errors that it was the last run to see: for the latest run, "
        "all of its errors.",
        extensions=[Paged()],
        permission_classes=[Permitted],
    )
    async def validation_errors(
        self, info: Info, page: PageArguments
    ) -> Connection[ValidationError]:
        owner = (self.tenant_id, (self.key,))
        return await connect_nested(info, ErrorsOfRuns(), page, of=owner, make=ValidationError.of)


async def reverts_of_runs(
    session: AsyncSession, tenant_id: UUID, run_ids: Sequence[UUID]
) -> Mapping[UUID, SyncRun]:
    """By run, the one that has undone it."""
    row = models.SyncRun
    rows = await session.execute(
        SyncRun.statement(tenant_id).where(
            row.reverts_run_id.in_(run_ids), row.state == SyncRunState.SUCCEEDED
        )
    )
    return {found.reverts_run_id: SyncRun.of(found) for found in rows}


class SyncRunOrderField(StrEnum):
    REQUESTED = "REQUESTED"


describe(
    SyncRunOrderField,
    "What runs are ordered by.",
    REQUESTED="When they were asked for.",
)


@strawberry.input(description="How runs are ordered.")
class SyncRunOrder:
    field: SyncRunOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="Which way."
    )


@strawberry.input(description="Which runs are wanted; all conditions hold together.")
class SyncRunFilter:
    state: list[SyncRunState] | None = strawberry.field(
        default=None, description="Only runs in one of these states."
    )
    mode: SyncMode | None = strawberry.field(default=None, description="Only runs of this mode.")
    trigger: SyncTrigger | None = strawberry.field(
        default=None, description="Only runs that this asked for."
    )


def sync_runs(
    tenant_id: UUID, filter: SyncRunFilter | None, order_by: SyncRunOrder | None
) -> Listing:
    chosen = filter or SyncRunFilter()
    order = order_by or SyncRunOrder(field=SyncRunOrderField.REQUESTED)
    row = models.SyncRun
    statement = select(*SyncRun.columns()).where(row.tenant_id == tenant_id)
    if chosen.state is not None:
        statement = statement.where(row.state.in_(bounded(chosen.state)))
    if chosen.mode is not None:
        statement = statement.where(row.mode == chosen.mode)
    if chosen.trigger is not None:
        statement = statement.where(row.trigger == chosen.trigger)
    return Listing(
        scope_of("syncRuns", tenant_id, chosen, order),
        tenant_id,
        statement,
        Sorting.by([row.requested_at], row.id, order.direction),
    )


@strawberry.input(description="Which run to start.")
class SyncRunStartInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    mode: SyncMode = strawberry.field(default=SyncMode.FULL, description="What it shall do.")
    user: SyncRunUserInput | None = strawberry.field(
        default=None, description="For mode SINGLE_USER: whom it reads."
    )


@strawberry.type(description="The run that was asked for.")
class SyncRunStartPayload:
    sync_run: SyncRun | None = strawberry.field(
        default=None, description="The run, waiting or under way; null where none was started."
    )
    joined: bool = strawberry.field(
        default=False,
        description="Whether the run was there already and has been joined.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type
class SyncQuery:
    @strawberry.field(description="The run with this id.", permission_classes=[Permitted])
    async def sync_run(self, info: Info, id: RunId) -> SyncRun | None:
        found = read_id(id, SyncRun.type_code)
        if not info.context.caller.may_see(found.tenant_id):
            return None
        return await load(info, SyncRun, found.tenant_id, found.key)


@strawberry.type
class SyncMutation:
    @strawberry.mutation(
        description="Starts a sync, or joins the one of the same mode that waits or runs already. "
        "It happens later, in a worker: follow `syncRun`.",
        permission_classes=[Permitted],
    )
    async def sync_run_start(
        self, info: Info, input: Annotated[SyncRunStartInput, INPUT]
    ) -> SyncRunStartPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                requested = await _request(session, tenant_id, input, context.caller)
        except DomainError as error:
            return SyncRunStartPayload(user_errors=user_errors(error))
        return SyncRunStartPayload(sync_run=SyncRun.of(requested.run), joined=requested.joined)


async def _request(
    session: AsyncSession, tenant_id: UUID, input: SyncRunStartInput, caller: Caller
) -> Requested:
    asked: dict[str, Any] = {"tenant_id": tenant_id, "caller": caller, "now": utc_now()}
    if input.mode is SyncMode.SINGLE_USER:
        user = input.user or SyncRunUserInput()
        return await request_user_run(session, wanted=user.wanted(tenant_id), **asked)
    if input.user is not None:
        raise InvalidInput("user", "Only a run of mode SINGLE_USER is of one person.")
    return await request_on_demand(session, mode=input.mode, **asked)
