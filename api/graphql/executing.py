"""How documents are executed: by graphql-core, but for what most of a page consists of.

Plain fields, which are attributes, are read without its ceremony. In a query, fields that come
from loaders are waited for together, without a task for each. What is not as usual is left to
graphql-core, which says what is wrong with it.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, cast

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    Undefined,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import DeferUsage, FieldDetailsList, GroupedFieldSet
from graphql.pyutils import AwaitableOrValue, Path, gather_with_cancel
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField
from typing_extensions import override

from api.graphql.loaders import Loaded

Convert = Callable[[Any], Any]


_UNCHANGED = {
    "ID": frozenset({str}),
    "String": frozenset({str}),
    "Boolean": frozenset({bool}),
}
"""What graphql-core's scalars leave as it is."""


class Unusual(Exception):
    """Something went wrong where this module cannot say what: graphql-core can."""


class _Plain(NamedTuple):
    """A plain type. Values of the types `unchanged` are as the answer has them."""

    unchanged: frozenset[type[Any]]
    convert: Convert


class _Fields(NamedTuple):
    """The selected fields of a type. `empty` has a place for each, in their order."""

    empty: dict[str, Any]
    values: Callable[[Any], tuple[Any, ...]]
    plain: list[tuple[str, frozenset[type[Any]], Convert]]
    others: GroupedFieldSet


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Reads plain fields: attributes that are scalars, enumerations or lists of those."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._known: dict[int, tuple[GroupedFieldSet, _Fields]] = {}

    @override
    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: Any,
    ) -> AwaitableOrValue[dict[str, Any]]:
        empty, values, plain, others = self._fields_of(parent_type, grouped_field_set)
        results = empty.copy()
        try:
            for (name, unchanged, convert), value in zip(plain, values(source_value), strict=True):
                results[name] = value if type(value) in unchanged else convert(value)
        except Exception:  # noqa: BLE001 - it comes again, and is told then
            others = grouped_field_set
        if not others:
            return results
        found = super().execute_fields(parent_type, source_value, path, others, position_context)
        if isinstance(found, dict):
            return self._filled(results, found)

        async def fill() -> dict[str, Any]:
            return self._filled(results, await found)

        return fill()

    def _filled(self, results: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
        results.update(found)
        return results

    def _fields_of(self, type_: GraphQLObjectType, wanted: GroupedFieldSet) -> _Fields:
        """graphql-core collects the fields of a selection once, so they are known by identity."""
        known = self._known.get(id(wanted))
        if known is None:
            known = self._known[id(wanted)] = wanted, _fields(self.schema, type_, wanted)
        return known[1]


class _Waiting(NamedTuple):
    """A field whose value a loader fetches, and what completes it."""

    loaded: Loaded[Any]
    complete: Convert


class _Place(NamedTuple):
    """Where a value goes when it is there."""

    results: dict[str, Any]
    name: str
    waiting: _Waiting


class QueryExecutor(Executor):
    """Waits for loaders level by level. Raises Unusual where that fails: then execute it anew."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._places: list[_Place] = []
        is_awaitable = self.is_awaitable
        self.is_awaitable = cast(
            "Any", lambda value: type(value) is not Loaded and is_awaitable(value)
        )

    @override
    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        if type(result) is not Loaded:
            return super().complete_value(
                return_type, field_details_list, info, path, result, position_context
            )
        complete = super().complete_value
        return _Waiting(
            result,
            lambda value: complete(
                return_type, field_details_list, info, path, value, position_context
            ),
        )

    @override
    def _filled(self, results: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
        self._places += [
            _Place(results, name, value) for name, value in found.items() if type(value) is _Waiting
        ]
        return super()._filled(results, found)

    @override
    def execute_collected_root_fields(
        self,
        root_type: GraphQLObjectType,
        root_value: Any,
        grouped_field_set: GroupedFieldSet,
        serially: bool,
        new_defer_usages: Sequence[DeferUsage],
    ) -> AwaitableOrValue[dict[str, Any]]:
        found = super().execute_collected_root_fields(
            root_type, root_value, grouped_field_set, serially, new_defer_usages
        )

        async def complete() -> dict[str, Any]:
            data = found if isinstance(found, dict) else await found
            try:
                while self._places:
                    places, self._places = self._places, []
                    await self._complete(places)
            except Exception as error:
                raise Unusual from error
            return data

        return complete()

    async def _complete(self, places: Sequence[_Place]) -> None:
        """One level. What it leads to is in `_places` afterwards."""
        later: list[_Place] = []
        try:
            for place in places:
                value = place.waiting.complete(await place.waiting.loaded)
                place.results[place.name] = value
                if self.is_awaitable(value):
                    later.append(place)
        except BaseException:
            self.track_async_work([place.results[place.name] for place in later])
            raise
        values = await gather_with_cancel(*(place.results[place.name] for place in later))
        for place, value in zip(later, values, strict=True):
            place.results[place.name] = value


def _fields(schema: GraphQLSchema, type_: GraphQLObjectType, wanted: GroupedFieldSet) -> _Fields:
    empty: dict[str, Any] = dict.fromkeys(wanted)
    plain: list[tuple[str, frozenset[type[Any]], Convert]] = []
    attributes: list[str] = []
    others: GroupedFieldSet = {}
    for name, details in wanted.items():
        own_name = details[0].node.name.value
        if own_name == "__typename":
            empty[name] = type_.name
        elif found := _plain_field(schema.get_field(type_, own_name)):
            attributes.append(found[0])
            plain.append((name, *found[1]))
        else:
            others[name] = details
    return _Fields(empty, _getter(attributes), plain, others)


def _plain_field(field: GraphQLField | None) -> tuple[str, _Plain] | None:
    """Its attribute and its type; None for a field that is not plain."""
    definition = field and field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if field is None or not isinstance(definition, StrawberryField):
        return None
    plain = _plain(field.type) if definition.is_basic_field else None
    return plain and (definition.python_name, plain)


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Always of a tuple, also where there is one name or none."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda source: tuple(getattr(source, name) for name in names)


def _plain(type_: GraphQLOutputType) -> _Plain | None:
    if is_non_null_type(type_):
        return _present(type_.of_type)
    plain = _present(type_)
    return plain and plain._replace(unchanged=plain.unchanged | {type(None)})


def _present(type_: GraphQLOutputType) -> _Plain | None:
    """For a value that must be there."""
    if is_leaf_type(type_):
        return _Plain(_UNCHANGED.get(type_.name, frozenset()), _leaf(type_.coerce_output_value))
    item = _plain(type_.of_type) if is_list_type(type_) else None
    return item and _Plain(frozenset(), _list(*item))


def _leaf(coerce: Convert) -> Convert:
    def convert(value: Any) -> Any:
        coerced = None if value is None else coerce(value)
        if coerced is None or coerced is Undefined:
            raise Unusual
        return coerced

    return convert


def _list(unchanged: frozenset[type[Any]], convert: Convert) -> Convert:
    def convert_list(values: Any) -> list[Any]:
        if type(values) is not list:
            raise Unusual
        return [value if type(value) in unchanged else convert(value) for value in values]

    return convert_list
