"""The schema, composed from the slices. Run as a module it prints itself, for schema.graphql."""

import graphql
import strawberry
from graphql import GraphQLSchema, lexicographic_sort_schema

from api.graphql.integration_tests import IntegrationTestMutation
from api.graphql.integrations import IntegrationMutation
from api.graphql.matches import MatchMutation
from api.graphql.onboarding import OnboardingQuery
from api.graphql.role_map import RoleMapMutation
from api.graphql.sharing import SharingMutation
from api.graphql.syncs import SyncMutation, SyncQuery
from api.graphql.tenants import TenantMutation, TenantQuery


@strawberry.type(description="What can be asked.")
class Query(TenantQuery, SyncQuery, OnboardingQuery):
    pass


@strawberry.type(description="What can be done. Every mutation takes one `input`.")
class Mutation(
    TenantMutation,
    IntegrationMutation,
    IntegrationTestMutation,
    SharingMutation,
    RoleMapMutation,
    MatchMutation,
    SyncMutation,
):
    pass


# Not sorted by strawberry: a sorted schema's enumerations give resolvers texts, not members.
schema = strawberry.Schema(query=Query, mutation=Mutation)
core: GraphQLSchema = schema._schema  # noqa: SLF001 - it is executed by graphql-core itself


def print_schema() -> str:
    """Sorted, so that moving code does not change the published schema."""
    return graphql.print_schema(lexicographic_sort_schema(core)) + "\n"


if __name__ == "__main__":
    print(print_schema(), end="")  # noqa: T201 - this is what it is run for
