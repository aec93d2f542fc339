"""The permission matrix has every field, and nothing gets round it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
)
from starlette.routing import Route
from strawberry.types.field import StrawberryField

from api import matrix_page
from api.exports import export_routes
from api.graphql.node import _TYPES
from api.graphql.permissions import Permitted
from api.graphql.schema import core
from api.matrix import EVERYBODY, MATRIX, demand
from api.training import training_routes
from domain.clock import new_id
from domain.errors import Forbidden
from domain.people.callers import PEOPLE, SCOPES, TENANT_ADMINS, Caller, CallerRole, Scope

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"
COMPLETE = ("Query", "Mutation", "Subscription", "Viewer", "Tenant", "SyncRun")
OBJECTS = {
    name: type_
    for name, type_ in core.type_map.items()
    if isinstance(type_, GraphQLObjectType) and not name.startswith("__")
}
FIELDS: dict[str, GraphQLField] = {
    f"{owner}.{name}": field
    for owner, type_ in OBJECTS.items()
    for name, field in type_.fields.items()
}
OF_FIELDS = {key: rule for key, rule in MATRIX.items() if " " not in key}
DOORS = {key: rule for key, rule in MATRIX.items() if " " in key}
GUARDS = {node.__name__: node.guard for node in _TYPES.values() if node.guard}


def test_every_field_of_the_main_types_has_an_entry() -> None:
    needed = {field for field in FIELDS if field.partition(".")[0] in COMPLETE}
    assert needed - MATRIX.keys() == set()


def test_no_entry_is_of_a_field_that_is_gone() -> None:
    assert OF_FIELDS.keys() - FIELDS.keys() == set()


def is_asked(field: GraphQLField) -> bool:
    definition: Any = field.extensions.get("strawberry-definition")
    return isinstance(definition, StrawberryField) and Permitted in definition.permission_classes


def test_a_field_is_asked_where_the_matrix_has_something_to_say() -> None:
    asked = {key for key, field in FIELDS.items() if is_asked(field)}
    assert asked - MATRIX.keys() == set()
    told = {key for key, rule in OF_FIELDS.items() if rule != EVERYBODY}
    assert told - asked == set()


def test_nothing_but_the_matrix_says_who_may() -> None:
    for key, field in FIELDS.items():
        definition: Any = field.extensions.get("strawberry-definition")
        if isinstance(definition, StrawberryField):
            assert set(definition.permission_classes) <= {Permitted}, key


def caller_of(role: CallerRole, scopes: frozenset[Scope] | None = None) -> Caller:
    return Caller(
        actor="somebody",
        name="Somebody",
        tenant_id=new_id(),
        roles=frozenset({role}),
        scopes=SCOPES[role] if scopes is None else scopes,
    )


def reached_by(caller: Caller) -> set[str]:
    """The types that somebody gets to see, however long the way there is."""
    reached: set[str] = set()
    waiting = ["Query", "Mutation", "Subscription"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += [each for each in led_to(name, caller) if each not in reached]
    return reached


def led_to(name: str, caller: Caller) -> Iterator[str]:
    for field_name, field in OBJECTS[name].fields.items():
        rule = MATRIX.get(f"{name}.{field_name}")
        if rule and rule.refusal(caller):
            continue
        named = get_named_type(field.type)
        if isinstance(named, GraphQLInterfaceType):
            yield from (
                type_.name
                for type_ in core.get_possible_types(named)
                if not is_guarded(type_.name, caller)
            )
        elif isinstance(named, GraphQLObjectType):
            yield named.name


def is_guarded(name: str, caller: Caller) -> bool:
    guard = GUARDS.get(name)
    return guard is not None and MATRIX[guard].refusal(caller) is not None


ADMINISTRATION = {
    "ApiToken",
    "AuditEntry",
    "Contact",
    "Hold",
    "HoldReason",
    "Integration",
    "IntegrationTestStep",
    "MatchCandidate",
    "Onboarding",
    "OnboardingRequest",
    "PeopleMerge",
    "PeopleMergePreview",
    "PreflightItem",
    "PreflightReport",
    "RoleMapEntry",
    "SharingRule",
    "SubscriptionSummary",
    "SyncFailure",
    "SyncLeftOut",
    "SyncProgress",
    "SyncStep",
    "Upload",
}
OF_RUNS = {"SyncRun", "SyncCount", "SyncChange", "ValidationError", "ValidationErrorGroup"}


@pytest.mark.parametrize("role", sorted(PEOPLE - TENANT_ADMINS))
def test_no_way_leads_people_to_what_is_for_administrators(role: CallerRole) -> None:
    kept = ADMINISTRATION | (set() if role is CallerRole.SCHOOL_ADMIN else OF_RUNS)
    assert kept <= OBJECTS.keys()
    assert reached_by(caller_of(role)) & kept == set()


@pytest.mark.parametrize("role", sorted(TENANT_ADMINS | {CallerRole.MACHINE}))
def test_every_way_is_open_for_administrators_but_what_is_an_operators(role: CallerRole) -> None:
    caller = caller_of(role)
    missing = OBJECTS.keys() - reached_by(caller)
    expected = {
        key.removeprefix("Mutation.")
        for key, rule in OF_FIELDS.items()
        if rule.refusal(caller) and key.startswith("Mutation.")
    }
    payloads = {f"{name[0].upper()}{name[1:]}Payload" for name in expected}
    of_operators = {"OnboardingRequest", "OnboardingRequestConnection", "OnboardingRequestEdge"}
    inner = {"ProgressRejection"} if "progressRecord" in expected else set()
    assert missing == payloads | of_operators | inner


def test_rosters_need_the_scope_for_reading_on_every_way() -> None:
    """A mutation's payload leads to a tenant, a run or a person: from there on it is asked."""
    scopes = frozenset(Scope) - {Scope.ROSTER_READ}
    reached = reached_by(caller_of(CallerRole.MACHINE, scopes))
    assert reached & {"School", "Group", "User", "Membership", "Progress", "SyncChange"} == set()


@pytest.mark.parametrize("field", sorted(GUARDS))
def test_a_kind_that_is_guarded_is_guarded_by_a_field_that_shows_it(field: str) -> None:
    guard = GUARDS[field]
    named = get_named_type(FIELDS[guard].type)
    assert isinstance(named, GraphQLObjectType)
    shown = (
        {named.name, get_named_type(named.fields["nodes"].type).name}
        if ("nodes" in named.fields)
        else {named.name}
    )
    assert field in shown


def test_every_door_is_there() -> None:
    database: Any = None
    paths = {
        f"GET {route.path}"
        for route in (*export_routes(database), *training_routes(database))
        if isinstance(route, Route)
    }
    # A link that is good once is the right itself, and templates are empty.
    open_doors = {path for path in paths if "{token}" in path or path.startswith("GET /templates/")}
    assert paths - open_doors == DOORS.keys()


def test_who_may_not_is_told_who_may() -> None:
    told = {
        ("Tenant.integration", CallerRole.TEACHER): "Only a district's administrators may do this.",
        ("Tenant.syncRuns", CallerRole.STAFF): "Only administrators may do this.",
        ("Mutation.trainingSettingsSet", CallerRole.STUDENT): (
            "Only administrators and teachers may do this."
        ),
        ("School.progressSummary", CallerRole.STUDENT): "Students may not do this.",
        ("Mutation.tenantCreate", CallerRole.MACHINE): "Only an operator may do this.",
        ("Mutation.tenantCreate", CallerRole.SUPER_ADMIN): "Only an operator may do this.",
        ("Mutation.progressRecord", CallerRole.SUPER_ADMIN): (
            "This is for tokens, not for people."
        ),
        ("Mutation.syncRunApprove", CallerRole.SUPPORT): "Support may not do this.",
    }
    for (field, role), sentence in told.items():
        with pytest.raises(Forbidden, match=f"^{sentence}$"):
            demand(caller_of(role), field)


def test_a_token_is_told_the_scope_that_it_lacks() -> None:
    caller = caller_of(CallerRole.MACHINE, frozenset())
    with pytest.raises(Forbidden, match=r"^This needs a token with the scope roster:read\.$"):
        demand(caller, "Query.tenants")
    with pytest.raises(Forbidden, match=r"scope training:write or tenant:admin\.$"):
        demand(caller, "Mutation.defaultGroupSet")
    demand(caller, "Query.viewer")


def test_every_rule_has_words_for_everybody_whom_it_refuses() -> None:
    for rule in MATRIX.values():
        for role in CallerRole:
            refusal = rule.refusal(caller_of(role, frozenset()))
            assert refusal is None or refusal.endswith(".")


def test_who_is_several_things_may_what_any_of_them_may() -> None:
    both = frozenset({CallerRole.STAFF, CallerRole.TEACHER})
    caller = Caller(actor="user 1", name="Both", tenant_id=new_id(), roles=both)
    demand(caller, "Mutation.trainingSettingsSet")
    with pytest.raises(Forbidden):
        demand(caller, "Tenant.syncRuns")


def test_the_published_page_is_current() -> None:
    """If it is not: make docs."""
    assert PAGE.read_text() == matrix_page.page()
