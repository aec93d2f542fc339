"""Admins and staff by CSV: people who are in no provider's roster, from an uploaded file."""

from typing import Annotated, Any, NamedTuple

import strawberry

from api.graphql.context import Context, Info
from api.graphql.errands import Errand, run_errand
from api.graphql.errors import UserError, user_errors
from api.graphql.people_imports_report import PeopleImportReport
from api.graphql.permissions import Permitted
from api.graphql.targets import INPUT, tenant_of, upload_of
from domain.errands.models import ErrandKind
from domain.errors import DomainError
from domain.files.imports import require_applied
from domain.staffing.layouts import PeopleKind
from domain.tenants.service import get_tenant

_TENANT = "The tenant's id."
_UPLOAD = "The upload: the CSV file itself."
_APPLY = "Whether to do it; otherwise it is only looked through."
_SKIP_ERRORS = (
    "Whether to import the other rows where some are wrong; otherwise nothing is imported then."
)
_ARCHIVE_MISSING = (
    "Whether to archive who was imported of this kind and is not in the file. Not along with"
    " `skipErrors`."
)
_REPORT = "What becomes of whom; null where the file could not be read, or not yet."
_ERRAND = (
    "Where it takes longer, or waits for a sync to end: ask for this `node` until it is DONE or"
    " REFUSED. Null where the report is here."
)
_WHY_NOT = "Why nothing was imported; empty where it was."


@strawberry.input(description="Which admins to import, and whether to do it.")
class AdminsImportInput:
    tenant_id: strawberry.ID = strawberry.field(description=_TENANT)
    upload_id: strawberry.ID = strawberry.field(description=_UPLOAD)
    apply: bool = strawberry.field(default=False, description=_APPLY)
    skip_errors: bool = strawberry.field(default=False, description=_SKIP_ERRORS)
    archive_missing: bool = strawberry.field(default=False, description=_ARCHIVE_MISSING)


@strawberry.input(description="Which staff to import, and whether to do it.")
class StaffImportInput:
    tenant_id: strawberry.ID = strawberry.field(description=_TENANT)
    upload_id: strawberry.ID = strawberry.field(description=_UPLOAD)
    apply: bool = strawberry.field(default=False, description=_APPLY)
    skip_errors: bool = strawberry.field(default=False, description=_SKIP_ERRORS)
    archive_missing: bool = strawberry.field(default=False, description=_ARCHIVE_MISSING)


@strawberry.type(description="Which admins would be imported, or were.")
class AdminsImportPayload:
    report: PeopleImportReport | None = strawberry.field(default=None, description=_REPORT)
    errand: Errand | None = strawberry.field(default=None, description=_ERRAND)
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=_WHY_NOT)


@strawberry.type(description="Which staff would be imported, or were.")
class StaffImportPayload:
    report: PeopleImportReport | None = strawberry.field(default=None, description=_REPORT)
    errand: Errand | None = strawberry.field(default=None, description=_ERRAND)
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=_WHY_NOT)


class Outcome(NamedTuple):
    """What either payload has."""

    report: PeopleImportReport | None
    errand: Errand | None
    user_errors: list[UserError]


async def _import(
    context: Context, kind: PeopleKind, input: AdminsImportInput | StaffImportInput
) -> Outcome:
    context.loaders.forget()
    report = None
    try:
        tenant_id = tenant_of(input.tenant_id, context.caller)
        async with context.database.read(tenant_id) as session:
            await get_tenant(session, tenant_id=tenant_id)
        asked: dict[str, Any] = {
            "upload_id": str(upload_of(input.upload_id, tenant_id)),
            "kind": kind.value,
            "apply": input.apply,
            "skip_errors": input.skip_errors,
            "archive_missing": input.archive_missing,
        }
        errand, result = await run_errand(
            context, tenant_id=tenant_id, kind=ErrandKind.PEOPLE_IMPORT, asked=asked
        )
        if result is None:
            return Outcome(None, errand, [])
        report = PeopleImportReport.of(result)
        if input.apply:
            require_applied(result)
    except DomainError as error:
        return Outcome(report, None, user_errors(error))
    return Outcome(report, None, [])


_RULES = (
    "see docs/imports.md. Without `apply` it only tells what would become of whom. The same file"
    " again changes nothing, and no sync touches who was imported. A username that belongs to"
    " somebody of the roster is an error of its row."
)


@strawberry.type
class PeopleImportMutation:
    @strawberry.mutation(
        description=f"Takes over district and school admins from a CSV file; {_RULES}",
        permission_classes=[Permitted],
    )
    async def admins_import(
        self, info: Info, input: Annotated[AdminsImportInput, INPUT]
    ) -> AdminsImportPayload:
        outcome = await _import(info.context, PeopleKind.ADMINS, input)
        return AdminsImportPayload(**outcome._asdict())

    @strawberry.mutation(
        description=f"Takes over staff who do not teach from a CSV file; {_RULES}",
        permission_classes=[Permitted],
    )
    async def staff_import(
        self, info: Info, input: Annotated[StaffImportInput, INPUT]
    ) -> StaffImportPayload:
        outcome = await _import(info.context, PeopleKind.STAFF, input)
        return StaffImportPayload(**outcome._asdict())
