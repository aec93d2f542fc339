"""What a document may cost: how many objects it could bring, page sizes multiplied."""

from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
)

from api.graphql.pages import DEFAULT_SIZE, MAX_SIZE

LIST_SIZE = 10
"""What a plain list of nodes is taken for."""


class Costs:
    """Of a valid document."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]
    ) -> None:
        self._schema = schema
        self._given = variables
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._known: dict[str, int] = {}
        self._defaults: dict[str, ValueNode | None] = {}

    def of(self, operation: OperationDefinitionNode) -> int:
        self._known.clear()
        self._defaults = {
            definition.variable.name.value: definition.default_value
            for definition in operation.variable_definitions or ()
        }
        root = self._schema.get_root_type(operation.operation)
        return self._selections(root, operation.selection_set) if root else 0

    def _selections(self, parent: GraphQLNamedType, node: SelectionSetNode | None) -> int:
        total = 0
        for selection in node.selections if node else ():
            match selection:
                case FieldNode():
                    total += self._field(parent, selection)
                case InlineFragmentNode():
                    condition = selection.type_condition
                    inner = self._type(condition.name.value) if condition else parent
                    total += self._selections(inner, selection.selection_set)
                case FragmentSpreadNode():
                    total += self._fragment(selection.name.value)
                case _:
                    pass
        return total

    def _fragment(self, name: str) -> int:
        if name not in self._known:
            fragment = self._fragments[name]
            inner = self._type(fragment.type_condition.name.value)
            self._known[name] = self._selections(inner, fragment.selection_set)
        return self._known[name]

    def _field(self, parent: GraphQLNamedType, node: FieldNode) -> int:
        assert isinstance(parent, GraphQLObjectType | GraphQLInterfaceType)
        field = parent.fields.get(node.name.value)
        if field is None:  # introspection
            return 0
        type_ = get_named_type(field.type)
        if not is_composite_type(type_):
            return 0
        own = 0 if _is_frame(type_) else 1
        return self._times(parent, field, node) * (
            own + self._selections(type_, node.selection_set)
        )

    def _times(self, parent: GraphQLNamedType, field: GraphQLField, node: FieldNode) -> int:
        if "first" in field.args:
            return self._page_size(node)
        is_list = is_list_type(get_nullable_type(field.type))
        return LIST_SIZE if is_list and not _is_frame(parent) and _is_node(field) else 1

    def _page_size(self, node: FieldNode) -> int:
        sizes = [
            self._number(argument.value)
            for argument in node.arguments or ()
            if argument.name.value in {"first", "last"}
        ]
        given = [size for size in sizes if size is not None]
        # A size below nothing, which is refused later, must not pay for other fields.
        return min(max(0, *given), MAX_SIZE) if given else DEFAULT_SIZE

    def _number(self, value: ValueNode | None) -> int | None:
        match value:
            case IntValueNode():
                return int(value.value)
            case VariableNode(name=name) if name.value in self._given:
                given = self._given[name.value]
                return given if isinstance(given, int | None) else MAX_SIZE
            case VariableNode(name=name):
                return self._number(self._defaults.get(name.value))
            case _:
                return None

    def _type(self, name: str) -> GraphQLNamedType:
        return self._schema.type_map[name]


def _is_frame(type_: GraphQLNamedType) -> bool:
    """A connection and its edges hold the objects; they are none themselves."""
    return type_.name == "PageInfo" or type_.name.endswith(("Connection", "Edge"))


def _is_node(field: GraphQLField) -> bool:
    type_ = get_named_type(field.type)
    return isinstance(type_, GraphQLObjectType) and any(
        interface.name == "Node" for interface in type_.interfaces
    )
