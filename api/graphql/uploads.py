"""Tickets for files that come in: the file itself is put to a plain address, not by GraphQL."""

from datetime import datetime
from typing import Annotated

import strawberry

from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.errors import UserError, user_errors
from api.graphql.node import encode_id
from api.graphql.permissions import Permitted
from api.graphql.targets import INPUT, UPLOAD_CODE, tenant_of
from domain.clock import utc_now
from domain.errors import DomainError
from domain.files.archives import MIB
from domain.files.uploads import LIFETIME, MAX_SIZE, UploadPurpose, request_upload
from domain.tenants.service import get_tenant

describe(
    UploadPurpose,
    "What a file is for.",
    LEGACY_IMPORT="What was there before rostering, for `legacyImport`.",
    ADMINS_IMPORT="Admins as CSV, for `adminsImport`.",
    STAFF_IMPORT="Staff as CSV, for `staffImport`.",
)


@strawberry.type(description="A place for one file.")
class Upload:
    id: strawberry.ID = strawberry.field(description="What names the file afterwards.")
    url: str = strawberry.field(
        description="Where it goes, from the address of this API on: `PUT` the file itself there "
        f"once, without a token. It has at most {MAX_SIZE // MIB} MiB."
    )
    expires_at: datetime = strawberry.field(description="Until when.")


@strawberry.input(description="What is going to be uploaded.")
class UploadCreateInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    purpose: UploadPurpose = strawberry.field(description="What the file is for.")


@strawberry.type(description="The place that was made.")
class UploadCreatePayload:
    upload: Upload | None = strawberry.field(
        default=None, description="The place; null where none was made."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type
class UploadMutation:
    @strawberry.mutation(
        description="Makes a place for a file. It is good for one file and "
        f"{LIFETIME.seconds // 60} minutes, and the file is kept for as long after it has come.",
        permission_classes=[Permitted],
    )
    async def upload_create(
        self, info: Info, input: Annotated[UploadCreateInput, INPUT]
    ) -> UploadCreatePayload:
        context = info.context
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                ticket = await request_upload(
                    session,
                    tenant_id=tenant_id,
                    purpose=input.purpose,
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return UploadCreatePayload(user_errors=user_errors(error))
        upload = Upload(
            id=encode_id(UPLOAD_CODE, tenant_id, ticket.upload_id),
            url=f"/uploads/{ticket.secret}",
            expires_at=ticket.expires_at,
        )
        return UploadCreatePayload(upload=upload)
