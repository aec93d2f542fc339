"""Deciding holds: letting go what was shown, or setting it aside."""

from typing import Annotated

import strawberry

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.permissions import Permitted
from api.graphql.syncs import SyncRun
from api.graphql.targets import INPUT, run_of
from domain.clock import utc_now
from domain.errors import DomainError
from domain.sync.holds import approve_run, discard_run
from domain.sync.service import get_run


@strawberry.input(description="Which held changes are approved.")
class SyncRunApproveInput:
    sync_run_id: strawberry.ID = strawberry.field(description="The run whose changes wait.")


@strawberry.type(description="The run that does what was approved.")
class SyncRunApprovePayload:
    sync_run: SyncRun | None = strawberry.field(
        default=None, description="The new run; null where none was started."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(description="Which held changes are set aside.")
class SyncRunDiscardInput:
    sync_run_id: strawberry.ID = strawberry.field(description="The run whose changes wait.")


@strawberry.type(description="The run whose changes wait no more.")
class SyncRunDiscardPayload:
    sync_run: SyncRun | None = strawberry.field(
        default=None, description="The run; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type
class HoldMutation:
    @strawberry.mutation(
        description="Approves the changes of a run that wait. A new run fetches again and may do "
        "to the records that were shown what was shown of them, and nothing to any other: those "
        "wait again. Students beyond the licences are let in by operators only.",
        permission_classes=[Permitted],
    )
    async def sync_run_approve(
        self, info: Info, input: Annotated[SyncRunApproveInput, INPUT]
    ) -> SyncRunApprovePayload:
        context = info.context
        context.loaders.forget()
        try:
            found = run_of(input.sync_run_id, context.caller)
            async with context.database.transaction(found.tenant_id) as session:
                requested = await approve_run(
                    session,
                    tenant_id=found.tenant_id,
                    run_id=found.key,
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return SyncRunApprovePayload(user_errors=user_errors(error))
        return SyncRunApprovePayload(sync_run=SyncRun.of(requested.run))

    @strawberry.mutation(
        description="Sets aside the changes of a run that wait. Nothing of it is done; the next "
        "run judges anew.",
        permission_classes=[Permitted],
    )
    async def sync_run_discard(
        self, info: Info, input: Annotated[SyncRunDiscardInput, INPUT]
    ) -> SyncRunDiscardPayload:
        context = info.context
        context.loaders.forget()
        try:
            found = run_of(input.sync_run_id, context.caller)
            async with context.database.transaction(found.tenant_id) as session:
                await discard_run(
                    session,
                    tenant_id=found.tenant_id,
                    run_id=found.key,
                    caller=context.caller,
                    now=utc_now(),
                )
                run = await get_run(session, tenant_id=found.tenant_id, run_id=found.key)
        except DomainError as error:
            return SyncRunDiscardPayload(user_errors=user_errors(error))
        return SyncRunDiscardPayload(sync_run=SyncRun.of(run))
