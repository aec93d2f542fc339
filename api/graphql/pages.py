"""Pages of a list by its keys: where a page begins is a row's place, never a number of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, Tuple, literal, tuple_
from strawberry.annotation import StrawberryAnnotation
from strawberry.extensions import FieldExtension
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField
from typing_extensions import override

from api.graphql.cursors import CursorSigner, Key
from api.graphql.described import describe
from api.graphql.errors import bad_input

DEFAULT_SIZE = 50
MAX_SIZE = 100


class OrderDirection(StrEnum):
    ASC = "ASC"
    DESC = "DESC"


describe(
    OrderDirection,
    "Which way a list is ordered.",
    ASC="The smallest, or the earliest, first.",
    DESC="The largest, or the latest, first.",
)


class Sorting(NamedTuple):
    """What a list is ordered by: the row's id comes last and makes every place unique."""

    keys: Sequence[ColumnElement[Any]]
    is_descending: bool

    @classmethod
    def by(
        cls,
        keys: Sequence[SQLColumnExpression[Any]],
        id_column: SQLColumnExpression[UUID],
        direction: OrderDirection = OrderDirection.ASC,
    ) -> Self:
        """None of the keys may be null: a comparison with null is not true."""
        columns = cast("list[ColumnElement[Any]]", [*keys, id_column])
        return cls(columns, is_descending=direction is OrderDirection.DESC)

    @property
    def types(self) -> list[type[Key]]:
        return [key.type.python_type for key in self.keys]


class Window(NamedTuple):
    """A page that is asked for, with the places that it lies between."""

    size: int
    is_backward: bool
    after: tuple[Key, ...] | None
    before: tuple[Key, ...] | None


@dataclass(frozen=True, slots=True)
class PageArguments:
    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    def window(self, cursors: CursorSigner, scope: bytes, sorting: Sorting) -> Window:
        """Raises the caller's error."""
        if self.first is not None and self.last is not None:
            raise bad_input("Give `first` or `last`, not both.")
        size = DEFAULT_SIZE
        for name, value in (("first", self.first), ("last", self.last)):
            if value is not None and not 1 <= value <= MAX_SIZE:
                raise bad_input(f"`{name}` is a number from 1 to {MAX_SIZE}.")
            size = value if value is not None else size
        return Window(
            size=size,
            is_backward=self.last is not None,
            after=cursors.decode(scope, self.after, sorting.types) if self.after else None,
            before=cursors.decode(scope, self.before, sorting.types) if self.before else None,
        )


def windowed(statement: Select[Any], sorting: Sorting, window: Window) -> Select[Any]:
    """The page's rows and one more, which says whether there is another page behind it.

    The place of each row is in its columns place_0, place_1, …; going backward, the rows come in
    the opposite order.
    """
    keys = sorting.keys
    places: list[ColumnElement[Any]] = [
        key.label(f"place_{index}") for index, key in enumerate(keys)
    ]
    row = tuple_(*keys)
    if window.after:
        bound = _bound(window.after, keys)
        statement = statement.where(row < bound if sorting.is_descending else row > bound)
    if window.before:
        bound = _bound(window.before, keys)
        statement = statement.where(row > bound if sorting.is_descending else row < bound)
    order = ordered(keys, sorting, window)
    return statement.add_columns(*places).order_by(*order).limit(window.size + 1)


def ordered(
    keys: Sequence[ColumnElement[Any]], sorting: Sorting, window: Window
) -> list[ColumnElement[Any]]:
    is_descending = sorting.is_descending != window.is_backward
    return [key.desc() if is_descending else key.asc() for key in keys]


def _bound(place: tuple[Key, ...], keys: Sequence[ColumnElement[Any]]) -> Tuple:
    pairs = zip(place, keys, strict=True)
    return tuple_(*(literal(value, type_=key.type) for value, key in pairs))


_ARGUMENTS: dict[str, tuple[Any, str]] = {
    "first": (
        int | None,
        f"So many from the beginning, or after `after`: 1 to {MAX_SIZE}, or else {DEFAULT_SIZE}.",
    ),
    "after": (str | None, "Only objects behind this cursor."),
    "last": (
        int | None,
        f"So many from the end, or before `before`: 1 to {MAX_SIZE}. Not with `first`.",
    ),
    "before": (str | None, "Only objects in front of this cursor."),
}


class Paged(FieldExtension):
    """Gives a connection its four arguments; the resolver takes them together, as `page`."""

    @override
    def apply(self, field: StrawberryField) -> None:
        own = [argument for argument in field.arguments if argument.python_name != "page"]
        field.arguments = own + [
            StrawberryArgument(
                python_name=name,
                graphql_name=None,
                type_annotation=StrawberryAnnotation(annotation),
                description=description,
                default=None,
            )
            for name, (annotation, description) in _ARGUMENTS.items()
        ]

    @override
    def map_arguments(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        page = PageArguments(**{name: kwargs.pop(name, None) for name in _ARGUMENTS})
        return {**kwargs, "page": page}
