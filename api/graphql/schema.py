"""The schema, composed from the slices. Run as a module it prints itself, for schema.graphql."""

import graphql
import strawberry
from graphql import GraphQLSchema, lexicographic_sort_schema

from api.graphql.api_tokens import ApiTokenMutation
from api.graphql.contacts import ContactMutation
from api.graphql.defaults import DefaultPlaceMutation
from api.graphql.disconnection import DisconnectionMutation
from api.graphql.eligibility import EligibilityMutation
from api.graphql.existing_accounts import ExistingAccountsMutation
from api.graphql.exports import ExportMutation
from api.graphql.hold_acts import HoldMutation
from api.graphql.hold_limits import HoldLimitMutation
from api.graphql.integration_tests import IntegrationTestMutation
from api.graphql.integrations import IntegrationMutation
from api.graphql.invitations import InvitationMutation
from api.graphql.legacy import LegacyImportMutation
from api.graphql.matches import MatchMutation
from api.graphql.onboarding import OnboardingQuery
from api.graphql.onboarding_steps import OnboardingMutation
from api.graphql.people import PeopleMutation
from api.graphql.people_imports import PeopleImportMutation
from api.graphql.progress_carry import ProgressCarryMutation
from api.graphql.progress_record import ProgressRecordMutation
from api.graphql.requirements import RequirementMutation
from api.graphql.revalidation import RevalidationMutation
from api.graphql.role_map import RoleMapMutation
from api.graphql.rollovers import RolloverMutation
from api.graphql.roster_edits import RosterEditMutation
from api.graphql.run_acts import RunActsMutation
from api.graphql.run_progress import RunProgressSubscription
from api.graphql.schedules import ScheduleMutation
from api.graphql.sessions import SessionMutation
from api.graphql.sharing import SharingMutation
from api.graphql.sign_in_methods import SignInMethodMutation
from api.graphql.syncs import SyncMutation, SyncQuery
from api.graphql.tenant_changes import TenantMutation
from api.graphql.tenants import TenantQuery
from api.graphql.training_settings import TrainingSettingsMutation, TrainingSettingsQuery
from api.graphql.uploads import UploadMutation
from api.graphql.validation_acts import ValidationMutation
from api.graphql.viewer import ViewerQuery


@strawberry.type(description="What can be asked.")
class Query(ViewerQuery, TenantQuery, SyncQuery, OnboardingQuery, TrainingSettingsQuery):
    pass


@strawberry.type(description="What can be done. Every mutation takes one `input`.")
class Mutation(
    TenantMutation,
    OnboardingMutation,
    IntegrationMutation,
    IntegrationTestMutation,
    ScheduleMutation,
    DisconnectionMutation,
    ExistingAccountsMutation,
    SharingMutation,
    RoleMapMutation,
    RequirementMutation,
    ValidationMutation,
    MatchMutation,
    SyncMutation,
    RunActsMutation,
    RevalidationMutation,
    HoldMutation,
    HoldLimitMutation,
    RolloverMutation,
    ExportMutation,
    PeopleMutation,
    RosterEditMutation,
    EligibilityMutation,
    UploadMutation,
    LegacyImportMutation,
    ProgressRecordMutation,
    ProgressCarryMutation,
    PeopleImportMutation,
    DefaultPlaceMutation,
    TrainingSettingsMutation,
    ApiTokenMutation,
    ContactMutation,
    SessionMutation,
    SignInMethodMutation,
    InvitationMutation,
):
    pass


@strawberry.type(
    description="What can be followed, by WebSocket (graphql-transport-ws) or server-sent events."
)
class Subscription(RunProgressSubscription):
    pass


# Not sorted by strawberry: a sorted schema's enumerations give resolvers texts, not members.
schema = strawberry.Schema(query=Query, mutation=Mutation, subscription=Subscription)
core: GraphQLSchema = schema._schema  # noqa: SLF001 - it is executed by graphql-core itself


def print_schema() -> str:
    """Sorted, so that moving code does not change the published schema."""
    return graphql.print_schema(lexicographic_sort_schema(core)) + "\n"


if __name__ == "__main__":
    print(print_schema(), end="")  # noqa: T201 - this is what it is run for
