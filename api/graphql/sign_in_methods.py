"""The ways of signing in to a tenant: which are on, and whom they let in."""

from typing import Annotated

import strawberry

from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.errors import UserError, user_errors
from api.graphql.node import Node, load
from api.graphql.permissions import Permitted
from api.graphql.roster import User
from api.graphql.targets import INPUT, node_of, tenant_of
from domain.errors import DomainError, InvalidInput
from domain.people.models import SignInMethodName, UsernameComparison
from domain.signing_in import methods
from domain.signing_in.methods import (
    MOST_KEYS,
    MethodSetting,
    forget_identity,
    methods_of,
    set_methods,
)
from domain.tenants.service import get_tenant

describe(
    UsernameComparison,
    "What of a Google or Microsoft account's address is compared with the username.",
    ADDRESS="The whole address.",
    LOCAL_PART="What is in front of the @.",
)
_KEYS = (
    "The tenant's ids at the provider: Clever's districts, ClassLink's tenants, Google's hosted"
    " domains, Microsoft's tenants"
)


@strawberry.type(description="A way of signing in to a tenant.")
class SignInMethod:
    name: SignInMethodName = strawberry.field(description="Which one.")
    is_enabled: bool = strawberry.field(description="Whether it is on.")
    keys: list[str] = strawberry.field(
        description=f"{_KEYS}. That of the integration is among them."
    )
    compares: UsernameComparison | None = strawberry.field(
        description="Of Google and Microsoft: what is compared with the username; null where "
        "nothing was chosen, and of the others."
    )
    is_of_integration: bool = strawberry.field(
        description="Whether the roster comes from there: then it is on unless it was switched "
        "off, and the district's admins have to use Clever where that is the provider."
    )

    @classmethod
    def of(cls, method: methods.Method) -> "SignInMethod":
        return cls(
            name=method.name,
            is_enabled=method.is_enabled,
            keys=list(method.keys),
            compares=method.compares,
            is_of_integration=method.is_of_integration,
        )


async def sign_in_methods_of(parent: strawberry.Parent[Node], info: Info) -> list[SignInMethod]:
    async with info.context.database.read(parent.tenant_id) as session:
        found = await methods_of(session, parent.tenant_id)
    return [SignInMethod.of(method) for method in found]


@strawberry.input(description="How one way of signing in is to be.")
class SignInMethodInput:
    name: SignInMethodName = strawberry.field(description="Which one.")
    is_enabled: bool = strawberry.field(description="Whether it is on.")
    keys: list[str] | None = strawberry.field(
        default=None,
        description=f"{_KEYS}; at most {MOST_KEYS}. If left out, they stay. Those of Clever and "
        "ClassLink come from the integration; others are for operators.",
    )
    compares: UsernameComparison | None = strawberry.field(
        default=None,
        description="What is compared with the username: has to be said of Google and Microsoft, "
        "and of no others.",
    )


@strawberry.input(description="Ways of signing in to a tenant.")
class SignInMethodsSetInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    methods: list[SignInMethodInput] = strawberry.field(
        description="Those that are another way from now on, each once; the others stay."
    )


@strawberry.type(description="The ways of signing in as they are now.")
class SignInMethodsSetPayload:
    methods: list[SignInMethod] = strawberry.field(
        default_factory=list, description="All of them; empty where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(description="Whose account elsewhere is to be forgotten.")
class IdentityForgetInput:
    user_id: strawberry.ID = strawberry.field(description="The person's id.")
    method: SignInMethodName = strawberry.field(description="GOOGLE or MICROSOFT.")


@strawberry.type(description="The person whose account was forgotten.")
class IdentityForgetPayload:
    user: User | None = strawberry.field(
        default=None,
        description="The person; null where it was refused.",
        permission_classes=[Permitted],
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


def _settings(given: list[SignInMethodInput]) -> list[MethodSetting]:
    """Raises InvalidInput."""
    if len(given) > len(SignInMethodName):
        raise InvalidInput("methods", "A method is there twice.")
    return [MethodSetting(**vars(method)) for method in given]


@strawberry.type
class SignInMethodMutation:
    @strawberry.mutation(
        description="Switches ways of signing in on and off, and says whom they let in.",
        permission_classes=[Permitted],
    )
    async def sign_in_methods_set(
        self, info: Info, input: Annotated[SignInMethodsSetInput, INPUT]
    ) -> SignInMethodsSetPayload:
        context = info.context
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                settings = _settings(input.methods)
                await set_methods(
                    session, tenant_id=tenant_id, settings=settings, caller=context.caller
                )
                found = await methods_of(session, tenant_id)
        except DomainError as error:
            return SignInMethodsSetPayload(user_errors=user_errors(error))
        return SignInMethodsSetPayload(methods=[SignInMethod.of(method) for method in found])

    @strawberry.mutation(
        description="Forgets which Google or Microsoft account a person has: the next one whose "
        "name is the username is theirs. For accounts that were replaced.",
        permission_classes=[Permitted],
    )
    async def identity_forget(
        self, info: Info, input: Annotated[IdentityForgetInput, INPUT]
    ) -> IdentityForgetPayload:
        context = info.context
        context.loaders.forget()
        try:
            found = node_of(input.user_id, User, "userId", context.caller)
            async with context.database.transaction(found.tenant_id) as session:
                await forget_identity(
                    session,
                    tenant_id=found.tenant_id,
                    user_id=found.key,
                    method=input.method,
                    caller=context.caller,
                )
        except DomainError as error:
            return IdentityForgetPayload(user_errors=user_errors(error))
        return IdentityForgetPayload(user=await load(info, User, found.tenant_id, found.key))
