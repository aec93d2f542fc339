"""API tokens: what machines use this API with. A secret is shown once, when it is made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

import strawberry
from sqlalchemy import select
from typing_extensions import override

from api.graphql.connection import Connection, Listing, connect
from api.graphql.context import Info
from api.graphql.cursors import scope_of
from api.graphql.errors import UserError, user_errors
from api.graphql.node import Node
from api.graphql.pages import OrderDirection, PageArguments, Sorting
from api.graphql.permissions import Permitted
from api.graphql.run_parts import Actor
from api.graphql.targets import INPUT, node_of, tenant_of
from domain.clock import utc_now
from domain.errors import DomainError
from domain.people import models
from domain.people.callers import Scope
from domain.people.token_acts import MOST_DAYS, WantedToken, give_token, revoke_token
from domain.people.tokens import DEFAULT_LIFETIME
from domain.tenants.service import get_tenant


@strawberry.type(description="A machine's credential. Its secret is nowhere to be read.")
class ApiToken(Node):
    type_code: ClassVar[str] = "B"
    row: ClassVar[type[Any]] = models.ApiToken
    guard: ClassVar[str | None] = "Tenant.apiTokens"
    derived: ClassVar[tuple[str, ...]] = ("scopes", "created_by")
    sources: ClassVar[tuple[str, ...]] = ("scopes", "created_by")

    name: str = strawberry.field(description="What it is for, as whoever made it says.")
    scopes: list[Scope] = strawberry.field(description="What it may be used for.")
    created_at: datetime = strawberry.field(description="When it was made.")
    created_by: Actor | None = strawberry.field(
        description="Who made it; null where that is not known. One that a person of the roster "
        "made is good only as long as that person is a district admin."
    )
    expires_at: datetime | None = strawberry.field(
        description="When it ends by itself; null where it does not."
    )
    last_used_at: datetime | None = strawberry.field(
        description="When it was used last, give or take a minute; null where it never was."
    )
    revoked_at: datetime | None = strawberry.field(
        description="When it was taken back; null where it was not."
    )

    @classmethod
    @override
    def derive(cls, row: Any) -> Mapping[str, Any]:
        return {
            "scopes": [scope for scope in Scope if scope.value in row.scopes],
            "created_by": Actor.of(row.created_by) if row.created_by else None,
        }


async def api_tokens_of(
    parent: strawberry.Parent[Node], info: Info, page: PageArguments
) -> Connection[ApiToken]:
    row = models.ApiToken
    listing = Listing(
        scope_of("apiTokens", parent.tenant_id),
        parent.tenant_id,
        select(*ApiToken.columns()).where(row.tenant_id == parent.tenant_id),
        Sorting.by([], row.id, OrderDirection.DESC),
    )
    return await connect(info, listing, page, ApiToken.of)


@strawberry.input(description="A new API token.")
class ApiTokenCreateInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    name: str = strawberry.field(description="What it is for: 1 to 100 characters.")
    scopes: list[Scope] = strawberry.field(
        description="What it may be used for; nothing that whoever makes it may not."
    )
    lifetime_days: int = strawberry.field(
        default=DEFAULT_LIFETIME.days, description=f"How many days it lasts: 1 to {MOST_DAYS}."
    )


@strawberry.type(description="The API token with its secret.")
class ApiTokenCreatePayload:
    api_token: ApiToken | None = strawberry.field(
        default=None, description="The token; null where none was made."
    )
    secret: str | None = strawberry.field(
        default=None,
        description="What the machine sends as a bearer token. It is shown this once: only its "
        "hash is kept. Null where none was made.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(description="Which API token is taken back.")
class ApiTokenRevokeInput:
    api_token_id: strawberry.ID = strawberry.field(description="The token's id.")


@strawberry.type(description="The API token as it is now.")
class ApiTokenRevokePayload:
    api_token: ApiToken | None = strawberry.field(
        default=None, description="The token; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type
class ApiTokenMutation:
    @strawberry.mutation(
        description="Makes an API token of the tenant. A person signs in first: a session that is "
        "older than some minutes is answered with SIGN_IN_AGAIN. One that a token makes ends no "
        "later than that one.",
        permission_classes=[Permitted],
    )
    async def api_token_create(
        self, info: Info, input: Annotated[ApiTokenCreateInput, INPUT]
    ) -> ApiTokenCreatePayload:
        context = info.context
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                token, secret = await give_token(
                    session,
                    tenant_id=tenant_id,
                    wanted=WantedToken(input.name, frozenset(input.scopes), input.lifetime_days),
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return ApiTokenCreatePayload(user_errors=user_errors(error))
        return ApiTokenCreatePayload(api_token=ApiToken.of(token), secret=secret)

    @strawberry.mutation(
        description="Takes an API token back, with those that were made with it. Their next "
        "request is not signed in.",
        permission_classes=[Permitted],
    )
    async def api_token_revoke(
        self, info: Info, input: Annotated[ApiTokenRevokeInput, INPUT]
    ) -> ApiTokenRevokePayload:
        context = info.context
        context.loaders.forget()
        try:
            found = node_of(input.api_token_id, ApiToken, "apiTokenId", context.caller)
            async with context.database.transaction(found.tenant_id) as session:
                token = await revoke_token(
                    session,
                    tenant_id=found.tenant_id,
                    token_id=found.key,
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return ApiTokenRevokePayload(user_errors=user_errors(error))
        return ApiTokenRevokePayload(api_token=ApiToken.of(token))
