"""Stopping a run, and undoing one that is over."""

from typing import Annotated

import strawberry

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.permissions import Permitted
from api.graphql.syncs import SyncRun
from api.graphql.targets import INPUT, run_of
from domain.clock import utc_now
from domain.errors import DomainError
from domain.sync.cancelling import cancel_run
from domain.sync.reverting import revert_run

AFTER_REVERT = (
    "The next sync does again what is undone, unless what the provider shares was corrected by"
    " then. Pause the integration until it is."
)


@strawberry.input(description="Which run to stop.")
class SyncRunCancelInput:
    sync_run_id: strawberry.ID = strawberry.field(description="The run, waiting or under way.")


@strawberry.type(description="The run that was cancelled.")
class SyncRunCancelPayload:
    sync_run: SyncRun | None = strawberry.field(
        default=None,
        description="The run. Where it is under way still, it ends as CANCELLED within seconds; "
        "null where it was refused.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(description="Which run to undo.")
class SyncRunRevertInput:
    sync_run_id: strawberry.ID = strawberry.field(description="The run that is over.")


@strawberry.type(description="The run that undoes another one.")
class SyncRunRevertPayload:
    sync_run: SyncRun | None = strawberry.field(
        default=None,
        description="A new run, of mode REVERT, to be followed; null where none was started.",
    )
    message: str | None = strawberry.field(
        default=None, description="What happens after it, to be shown; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type
class RunActsMutation:
    @strawberry.mutation(
        description="Stops a run in whatever phase it is, with nothing changed. What was applied "
        "already cannot be stopped, but undone: use `syncRunRevert`.",
        permission_classes=[Permitted],
    )
    async def sync_run_cancel(
        self, info: Info, input: Annotated[SyncRunCancelInput, INPUT]
    ) -> SyncRunCancelPayload:
        context = info.context
        context.loaders.forget()
        try:
            found = run_of(input.sync_run_id, context.caller)
            async with context.database.transaction(found.tenant_id) as session:
                run = await cancel_run(
                    session,
                    tenant_id=found.tenant_id,
                    run_id=found.key,
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return SyncRunCancelPayload(user_errors=user_errors(error))
        return SyncRunCancelPayload(sync_run=SyncRun.of(run))

    @strawberry.mutation(
        description="Undoes what a run has changed: what it created is archived, what it archived "
        "is there again with memberships, settings and progress, and what it changed has its old "
        "values. Refused where records were changed since, or what was there before is not kept "
        "any more. The next sync does it again unless what the provider shares was corrected.",
        permission_classes=[Permitted],
    )
    async def sync_run_revert(
        self, info: Info, input: Annotated[SyncRunRevertInput, INPUT]
    ) -> SyncRunRevertPayload:
        context = info.context
        context.loaders.forget()
        try:
            found = run_of(input.sync_run_id, context.caller)
            async with context.database.transaction(found.tenant_id) as session:
                run = await revert_run(
                    session,
                    tenant_id=found.tenant_id,
                    run_id=found.key,
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return SyncRunRevertPayload(user_errors=user_errors(error))
        return SyncRunRevertPayload(sync_run=SyncRun.of(run), message=AFTER_REVERT)
