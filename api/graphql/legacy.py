"""Legacy import: what a tenant had before rostering, from an uploaded file."""

from typing import Annotated

import strawberry

from api.graphql.context import Info
from api.graphql.errands import Errand, run_errand
from api.graphql.errors import UserError, user_errors
from api.graphql.legacy_report import LegacyImportReport
from api.graphql.permissions import Permitted
from api.graphql.targets import INPUT, tenant_of, upload_of
from domain.errands.models import ErrandKind
from domain.errors import DomainError
from domain.files.imports import require_applied
from domain.tenants.service import get_tenant


@strawberry.input(description="What to import, and whether to do it.")
class LegacyImportInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    upload_id: strawberry.ID = strawberry.field(
        description="The upload: a zip with the files, or one of them as it is."
    )
    apply: bool = strawberry.field(
        default=False, description="Whether to do it; otherwise it is only looked through."
    )
    skip_errors: bool = strawberry.field(
        default=False,
        description="Whether to import the other rows where some are wrong; otherwise nothing is "
        "imported then.",
    )


@strawberry.type(description="What would be imported, or was.")
class LegacyImportPayload:
    report: LegacyImportReport | None = strawberry.field(
        default=None,
        description="What is in the files; null where they could not be read, or not yet.",
    )
    errand: Errand | None = strawberry.field(
        default=None,
        description="Where it takes longer, or waits for a sync to end: ask for this `node` until "
        "it is DONE or REFUSED. Null where the report is here.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was imported; empty where it was."
    )


@strawberry.type
class LegacyImportMutation:
    @strawberry.mutation(
        description="Takes over schools, groups, people, memberships, settings and progress from "
        "before rostering, from CSV files; see docs/legacy.md. Without `apply` it only tells what "
        "would be done. The same files again change nothing. Refused once a provider's roster has "
        "been applied.",
        permission_classes=[Permitted],
    )
    async def legacy_import(
        self, info: Info, input: Annotated[LegacyImportInput, INPUT]
    ) -> LegacyImportPayload:
        context = info.context
        context.loaders.forget()
        report = None
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.read(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
            upload_id = upload_of(input.upload_id, tenant_id)
            errand, result = await run_errand(
                context,
                tenant_id=tenant_id,
                kind=ErrandKind.LEGACY_IMPORT,
                asked={
                    "upload_id": str(upload_id),
                    "apply": input.apply,
                    "skip_errors": input.skip_errors,
                },
            )
            if result is None:
                return LegacyImportPayload(errand=errand)
            report = LegacyImportReport.of(result)
            if input.apply:
                require_applied(result)
        except DomainError as error:
            return LegacyImportPayload(report=report, user_errors=user_errors(error))
        return LegacyImportPayload(report=report)
