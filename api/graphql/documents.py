"""Documents: parsed, limited and validated once, and kept.

The limits come before validation, and fragments are measured once each, never expanded: a document
of a kilobyte can stand for a billion fields.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
    Visitor,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
    visit,
)

from api.graphql.costs import Costs
from api.graphql.errors import ErrorCode, Refused
from api.graphql.limits import Measure
from api.graphql.schema import core

MAX_SOURCE = 32 * 1024
MAX_TOKENS = 2000
MAX_COST = 20_000
KEPT_DOCUMENTS = 256
KEPT_CHARACTERS = 256 * 1024


class Document:
    """Valid for this schema and within the limits, but for its cost, which needs variables."""

    def __init__(self, node: DocumentNode) -> None:
        self.node = node

    def is_query(self, operation_name: str | None) -> bool:
        operation = get_operation_ast(self.node, operation_name)
        return operation is not None and operation.operation is OperationType.QUERY

    def is_subscription(self, operation_name: str | None) -> bool:
        operation = get_operation_ast(self.node, operation_name)
        return operation is not None and operation.operation is OperationType.SUBSCRIPTION

    def described(self, operation_name: str | None) -> tuple[str, str]:
        """For figures: its kind, and its root field, of which there are but so many."""
        operation = get_operation_ast(self.node, operation_name)
        if operation is None:
            return "none", "none"
        fields = set(self._root_fields(operation.selection_set))
        return operation.operation.value, fields.pop() if len(fields) == 1 else "several"

    def _root_fields(self, selected: SelectionSetNode) -> Iterator[str]:
        for each in selected.selections:
            match each:
                case FieldNode():
                    yield each.name.value
                case InlineFragmentNode():
                    yield from self._root_fields(each.selection_set)
                case _:
                    yield "several"

    def check_cost(self, operation_name: str | None, variables: Mapping[str, Any]) -> int:
        """The cost. Raises Refused where it is too high."""
        cost = self._cost(operation_name, variables)
        if cost > MAX_COST:
            raise Refused(
                400,
                ErrorCode.MAX_COST_EXCEEDED,
                f"This asks for up to {cost} objects at once; {MAX_COST} is the limit. Ask for "
                "smaller pages.",
            )
        return cost

    def _cost(self, operation_name: str | None, variables: Mapping[str, Any]) -> int:
        """The dearest of its operations, or of those with the name, should there be one."""
        costs = Costs(core, self.node, variables)
        asked = (
            costs.of(operation)
            for operation in self.node.definitions
            if isinstance(operation, OperationDefinitionNode)
            and (operation_name is None or _is_named(operation, operation_name))
        )
        return max(asked, default=0)


def _is_named(operation: OperationDefinitionNode, name: str) -> bool:
    return operation.name is None or operation.name.value == name


class Documents:
    """The last documents by their source, bounded by their number and their length together."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._characters = 0

    def prepare(self, source: str) -> Document:
        """Raises Refused for what is no valid document within the limits."""
        document = self._kept.get(source)
        if document is None:
            document = Document(_valid(source))
            self._keep(source, document)
        else:
            self._kept.move_to_end(source)
        return document

    def _keep(self, source: str, document: Document) -> None:
        self._kept[source] = document
        self._characters += len(source)
        while len(self._kept) > KEPT_DOCUMENTS or self._characters > KEPT_CHARACTERS:
            forgotten, _ = self._kept.popitem(last=False)
            self._characters -= len(forgotten)


def _valid(source: str) -> DocumentNode:
    try:
        node = parse(source, max_lexical_tokens=MAX_TOKENS, max_source_length=MAX_SOURCE)
    except GraphQLError as error:
        raise Refused.because(ErrorCode.GRAPHQL_PARSE_FAILED, [error]) from None
    if broken := Measure(node).broken_limits():
        raise Refused.because(ErrorCode.GRAPHQL_VALIDATION_FAILED, broken)
    if invalid := validate(core, node, specified_rules, hide_suggestions=True):
        raise Refused.because(ErrorCode.GRAPHQL_VALIDATION_FAILED, invalid)
    if "\\u" in source or "\x00" in source:
        visit(node, _TextCheck())
    return node


class _TextCheck(Visitor):
    """PostgreSQL has no text with a NUL character."""

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        check_text(node.value)


def check_text(value: Any) -> None:
    """Looks at every text of the variables. Raises Refused."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text if "\x00" in text:
                raise Refused(
                    400, ErrorCode.BAD_USER_INPUT, "A text must not contain the character NUL."
                )
            case dict() as inner:
                waiting += [*inner.keys(), *inner.values()]
            case list() as inner:
                waiting += inner
            case _:
                pass
