"""How large a document is: measured in one pass, each fragment once."""

from collections.abc import Iterator
from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
)

MAX_DEPTH = 12
MAX_INTROSPECTION_DEPTH = 20
MAX_ALIASES = 30
MAX_ROOT_FIELDS = 20
MAX_MUTATIONS = 10
MAX_DIRECTIVES = 50
MAX_FIELDS = 2000


class Size(NamedTuple):
    """Of a selection, with its fragments as often as they are spread.

    `introspection` is the depth below __schema and __type, which describe types by their types
    and so lie deeper than any data.
    """

    depth: int = 0
    introspection: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    root_fields: int = 0

    def beside(self, other: "Size") -> "Size":
        return Size(
            max(self.depth, other.depth),
            max(self.introspection, other.introspection),
            self.fields + other.fields,
            self.aliases + other.aliases,
            self.directives + other.directives,
            self.root_fields + other.root_fields,
        )


class Measure:
    def __init__(self, document: DocumentNode) -> None:
        self._operations = [
            node for node in document.definitions if isinstance(node, OperationDefinitionNode)
        ]
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._sizes: dict[str, Size] = {}

    def broken_limits(self) -> list[GraphQLError]:
        try:
            return [error for operation in self._operations for error in self._check(operation)]
        except RecursionError:
            return [GraphQLError("The document is nested too deeply.")]

    def _check(self, operation: OperationDefinitionNode) -> Iterator[GraphQLError]:
        size = self._selections(operation.selection_set)
        directives = size.directives + len(operation.directives or ())
        is_mutation = operation.operation is OperationType.MUTATION
        for name, value, limit in (
            ("levels", size.depth, MAX_DEPTH),
            ("levels of introspection", size.introspection, MAX_INTROSPECTION_DEPTH),
            ("fields", size.fields, MAX_FIELDS),
            ("aliases", size.aliases, MAX_ALIASES),
            ("directives", directives, MAX_DIRECTIVES),
            ("root fields", size.root_fields, MAX_MUTATIONS if is_mutation else MAX_ROOT_FIELDS),
        ):
            if value > limit:
                yield GraphQLError(f"An operation has at most {limit} {name}.", operation)

    def _selections(self, node: SelectionSetNode | None) -> Size:
        size = Size()
        for selection in node.selections if node else ():
            one = self._selection(selection)
            size = size.beside(
                one._replace(directives=one.directives + len(selection.directives or ()))
            )
        return size

    def _selection(self, node: SelectionNode) -> Size:
        if isinstance(node, FragmentSpreadNode):
            return self._fragment(node.name.value)
        if isinstance(node, InlineFragmentNode):
            return self._selections(node.selection_set)
        assert isinstance(node, FieldNode)
        inner = self._selections(node.selection_set)
        is_introspection = node.name.value in {"__schema", "__type"}
        return inner._replace(
            depth=1 if is_introspection else inner.depth + 1,
            introspection=inner.depth if is_introspection else inner.introspection,
            fields=inner.fields + 1,
            aliases=inner.aliases + (node.alias is not None),
            root_fields=1,
        )

    def _fragment(self, name: str) -> Size:
        """Nothing for a fragment that is not there or spreads itself: validation says so."""
        if name not in self._sizes:
            self._sizes[name] = Size()
            fragment = self._fragments.get(name)
            if fragment:
                self._sizes[name] = self._selections(fragment.selection_set)
        return self._sizes[name]
