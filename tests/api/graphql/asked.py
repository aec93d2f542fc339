"""How any field is asked for, made from the schema: a new one is tried without a word."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_required_argument,
    is_required_input_field,
)

IdOf = Callable[[str], str]
"""The id for an argument or an input's field of this name."""

_SCALARS: Final[Mapping[str, str]] = {
    "String": '"x"',
    "Int": "1",
    "Float": "1.0",
    "Boolean": "false",
    "Date": '"2026-08-20"',
    "DateTime": '"2026-08-20T00:00:00Z"',
    "Time": '"01:30:00"',
    "JSON": "1",
}


def call(name: str, field: GraphQLField, id_of: IdOf) -> str:
    """The field with its arguments, where it needs some, and the least of what it has."""
    arguments = {
        argument: _value(given.type, argument, id_of)
        for argument, given in field.args.items()
        if _is_needed(argument, given)
    }
    told = ", ".join(f"{argument}: {value}" for argument, value in arguments.items())
    return f"{name}{f'({told})' if told else ''}{_selection(field)}"


def _is_needed(name: str, argument: GraphQLArgument) -> bool:
    return name == "id" or is_required_argument(argument)


def _selection(field: GraphQLField) -> str:
    named = get_named_type(field.type)
    if is_leaf_type(named):
        return ""
    if isinstance(named, GraphQLObjectType) and "userErrors" in named.fields:
        return " { userErrors { field code message } }"
    if named.name.endswith("Connection"):
        return " { totalCount nodes { __typename } }"
    return " { __typename }"


def _value(type_: GraphQLInputType, name: str, id_of: IdOf) -> str:
    inner: Any = get_nullable_type(type_) if isinstance(type_, GraphQLNonNull) else type_
    if is_list_type(inner):
        return f"[{_value(inner.of_type, name, id_of)}]"
    if isinstance(inner, GraphQLInputObjectType):
        needed = {
            key: _value(given.type, key, id_of)
            for key, given in inner.fields.items()
            if _is_of_use(given)
        }
        return "{" + ", ".join(f"{key}: {value}" for key, value in needed.items()) + "}"
    if isinstance(inner, GraphQLEnumType):
        return next(iter(inner.values))
    return f'"{id_of(name)}"' if inner.name == "ID" else _SCALARS[inner.name]


def _is_of_use(field: GraphQLInputField) -> bool:
    """What may be named is named: without it, nothing may be meant, or oneself."""
    return get_named_type(field.type).name == "ID" or is_required_input_field(field)
