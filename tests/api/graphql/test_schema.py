"""Rules of the schema that nobody has to remember."""

from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from api.graphql.node import Node
from api.graphql.schema import core, print_schema

PUBLISHED = Path(__file__).parents[3] / "api" / "graphql" / "schema.graphql"

OWN_TYPES = [type_ for name, type_ in core.type_map.items() if not name.startswith("__")]
OBJECTS = [type_ for type_ in OWN_TYPES if isinstance(type_, GraphQLObjectType)]
FIELDS = [
    (type_.name, name, field)
    for type_ in OWN_TYPES
    if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)
    for name, field in type_.fields.items()
]


def test_everything_is_described() -> None:
    bare = [type_.name for type_ in OWN_TYPES if not type_.description]
    for owner, name, field in FIELDS:
        bare += [] if field.description else [f"{owner}.{name}"]
        bare += [f"{owner}.{name}({a})" for a, arg in field.args.items() if not arg.description]
    for type_ in OWN_TYPES:
        if isinstance(type_, GraphQLInputObjectType):
            bare += [f"{type_.name}.{n}" for n, f in type_.fields.items() if not f.description]
        if isinstance(type_, GraphQLEnumType):
            bare += [f"{type_.name}.{n}" for n, v in type_.values.items() if not v.description]
    assert bare == []


def test_the_published_schema_is_current() -> None:
    """If it is not, write it: python -m api.graphql.schema > api/graphql/schema.graphql."""
    assert PUBLISHED.read_text() == print_schema()


def test_every_mutation_takes_one_input_and_ends_with_user_errors() -> None:
    assert core.mutation_type
    for name, field in core.mutation_type.fields.items():
        assert list(field.args) == ["input"], name
        payload = get_named_type(field.type)
        assert isinstance(payload, GraphQLObjectType)
        assert payload.name == f"{name[0].upper()}{name[1:]}Payload"
        assert list(payload.fields)[-1] == "userErrors", name
        assert str(payload.fields["userErrors"].type) == "[UserError!]!"


def test_every_connection_is_bounded() -> None:
    connections = [
        (owner, name, field)
        for owner, name, field in FIELDS
        if get_named_type(field.type).name.endswith("Connection")
    ]
    assert len(connections) == 26
    for owner, name, field in connections:
        assert {"first", "after", "last", "before"} <= set(field.args), f"{owner}.{name}"
        assert isinstance(field.type, GraphQLNonNull)


def test_every_connection_has_edges_nodes_page_and_total() -> None:
    for type_ in OBJECTS:
        if type_.name.endswith("Connection"):
            assert set(type_.fields) == {"edges", "nodes", "pageInfo", "totalCount"}


def test_a_node_copies_only_attributes_of_its_row() -> None:
    direct: list[type[Node]] = Node.__subclasses__()
    nodes = [*direct, *(node for base in direct for node in base.__subclasses__())]
    concrete = [node for node in nodes if "type_code" in node.__dict__]
    assert len(concrete) == 16
    for node in concrete:
        attributes = set(node.row.__mapper__.attrs.keys())
        assert {*node.copied(), *node.sources} <= attributes, node.__name__


def test_lists_of_inputs_are_enumerations_or_bounded_where_they_are_read() -> None:
    lists = {
        f"{type_.name}.{name}"
        for type_ in OWN_TYPES
        if isinstance(type_, GraphQLInputObjectType)
        for name, field in type_.fields.items()
        if is_list_type(get_nullable_type(field.type))
    }
    assert lists == {
        "ApiTokenCreateInput.scopes",
        "ContactsSetInput.contacts",
        "EligibilityInput.values",
        "EligibilitySetInput.userIds",
        "ExistingAccountsSetInput.matchKeys",
        "ExpectationsSetInput.classes",
        "ExpectationsSetInput.schools",
        "GroupCreateInput.grades",
        "GroupCreateInput.subjects",
        "GroupUpdateInput.grades",
        "GroupUpdateInput.subjects",
        "HoldLimitsSetInput.limits",
        "InvitationSendInput.userIds",
        "LicencesSetInput.schoolIds",
        "OneRosterInput.scopes",
        "RequirementsSetInput.emailDomains",
        "RequirementsSetInput.requirements",
        "RoleMapSetInput.entries",
        "SharingRuleInput.values",
        "ProgressCarryOverInput.userIds",
        "ProgressCarryUndoInput.carryIds",
        "ProgressRecordInput.events",
        "SharingRulesPreviewInput.rules",
        "SharingRulesSetInput.rules",
        "SignInMethodInput.keys",
        "SignInMethodsSetInput.methods",
        "SyncRunFilter.state",
        "SyncScheduleSetInput.blackouts",
        "TrainingSettingsFilter.roles",
        "TrainingSettingsResetInput.fields",
        "UserCreateInput.grades",
        "UserCreateInput.roles",
        "UserCreateInput.schoolIds",
        "UserUpdateInput.grades",
        "UserUpdateInput.roles",
        "UserUpdateInput.schoolIds",
        "ValidationErrorAcceptInput.ids",
        "ValidationErrorFilter.code",
        "ValidationErrorFilter.severity",
        "ValidationErrorFilter.state",
        "ValidationErrorReopenInput.ids",
        "ValidationErrorsRevalidateInput.ids",
    }
