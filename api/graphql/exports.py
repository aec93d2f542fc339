"""Exports: a one-time link to validation errors, changes or imported people, as CSV."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import strawberry

from api.graphql.changes import SyncChangeFilter
from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.errors import UserError, user_errors
from api.graphql.node import find_id
from api.graphql.permissions import Permitted
from api.graphql.syncs import SyncRun
from api.graphql.targets import INPUT, tenant_of
from api.graphql.validation import ValidationErrorFilter, bounded
from api.matrix import demand
from domain.clock import utc_now
from domain.errors import DomainError, InvalidInput
from domain.files.exports import LIFETIME, ExportKind, create_export
from domain.sync.exports import ChangeChoice, ErrorChoice
from domain.sync.service import get_run
from domain.tenants.service import get_tenant

describe(
    ExportKind,
    "What is exported.",
    VALIDATION_ERRORS="Validation errors, a row for each.",
    SYNC_CHANGES="What a run changed, a row for each field; a create is one row.",
    ADMINS="The imported admins, as the file that `adminsImport` takes.",
    STAFF="The imported staff, as the file that `staffImport` takes.",
)


_DOORS: Final[Mapping[ExportKind, str]] = {
    ExportKind.VALIDATION_ERRORS: "GET /tenants/{slug}/validation-errors.csv",
    ExportKind.SYNC_CHANGES: "GET /tenants/{slug}/sync-runs/{run_id}/changes.csv",
    ExportKind.ADMINS: "GET /tenants/{slug}/admins.csv",
    ExportKind.STAFF: "GET /tenants/{slug}/staff.csv",
}
"""Where the same file is to be had with a token: a link gives nothing to anybody else."""


@strawberry.type(description="A file that may be fetched once.")
class Export:
    url: str = strawberry.field(
        description="Where it is, from the address of this API on: `GET` it once, without a token."
    )
    expires_at: datetime = strawberry.field(description="Until when.")


@strawberry.input(description="What is wanted as CSV.")
class ExportCreateInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    kind: ExportKind = strawberry.field(description="What is exported.")
    error_filter: ValidationErrorFilter | None = strawberry.field(
        default=None, description="For VALIDATION_ERRORS: which ones; all where it is left out."
    )
    run_id: strawberry.ID | None = strawberry.field(
        default=None, description="For SYNC_CHANGES: of which run."
    )
    change_filter: SyncChangeFilter | None = strawberry.field(
        default=None, description="For SYNC_CHANGES: which ones; all where it is left out."
    )


@strawberry.type(description="The link that was made.")
class ExportCreatePayload:
    export: Export | None = strawberry.field(
        default=None, description="The link; null where none was made."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


def _choice(input: ExportCreateInput, tenant_id: UUID) -> ErrorChoice | ChangeChoice | None:
    """Which rows; None: all of the kind."""
    of_changes = {"runId": input.run_id, "changeFilter": input.change_filter}
    if input.kind is not ExportKind.SYNC_CHANGES:
        for name, given in of_changes.items():
            if given is not None:
                raise InvalidInput(name, "This is for SYNC_CHANGES only.")
    if input.kind is ExportKind.VALIDATION_ERRORS:
        return _errors(input.error_filter or ValidationErrorFilter())
    if input.error_filter is not None:
        raise InvalidInput("errorFilter", "This is for VALIDATION_ERRORS only.")
    if input.kind is not ExportKind.SYNC_CHANGES:
        return None
    found = find_id(input.run_id or "")
    if found is None or (found.code, found.tenant_id) != (SyncRun.type_code, tenant_id):
        raise InvalidInput("runId", "Name one of the tenant's runs.")
    chosen = input.change_filter or SyncChangeFilter()
    return ChangeChoice(found.key, chosen.record_type, chosen.action, chosen.is_waiting)


def _errors(filter: ValidationErrorFilter) -> ErrorChoice:
    return ErrorChoice(
        states=None if filter.state is None else tuple(bounded(filter.state)),
        severities=None if filter.severity is None else tuple(bounded(filter.severity)),
        codes=None if filter.code is None else tuple(bounded(filter.code)),
        cause=filter.cause,
        record_type=filter.record_type,
        source_id=filter.source_id,
    )


@strawberry.type
class ExportMutation:
    @strawberry.mutation(
        description="Makes a link to a CSV file that is safe to open in a spreadsheet. It is good "
        f"for {LIFETIME.seconds // 60} minutes and one download. School admins export validation "
        "errors only.",
        permission_classes=[Permitted],
    )
    async def export_create(
        self, info: Info, input: Annotated[ExportCreateInput, INPUT]
    ) -> ExportCreatePayload:
        context = info.context
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            demand(context.caller, _DOORS[input.kind])
            choice = _choice(input, tenant_id)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                if isinstance(choice, ChangeChoice):
                    await get_run(session, tenant_id=tenant_id, run_id=choice.run_id)
                ticket = await create_export(
                    session,
                    tenant_id=tenant_id,
                    kind=input.kind,
                    choice=choice.as_json() if choice else {},
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return ExportCreatePayload(user_errors=user_errors(error))
        export = Export(url=f"/exports/{ticket.secret}", expires_at=ticket.expires_at)
        return ExportCreatePayload(export=export)
