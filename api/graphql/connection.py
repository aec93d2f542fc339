"""Connections: a page of a list with its cursors, and how many there are if that is asked."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

import strawberry
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Row,
    Select,
    TableValuedAlias,
    Uuid,
    column,
    func,
    literal,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry import Private

from api.graphql.context import Info
from api.graphql.cursors import CursorSigner, Key, scope_of
from api.graphql.pages import PageArguments, Sorting, Window, ordered, windowed

N = TypeVar("N")


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether the list goes on behind the page.")
    has_previous_page: bool = strawberry.field(
        description="Whether there is anything in front of the page."
    )
    start_cursor: str | None = strawberry.field(
        description="The cursor of the page's first object; null for an empty page."
    )
    end_cursor: str | None = strawberry.field(
        description="The cursor of the page's last object; null for an empty page."
    )


@strawberry.type(description="An object of a connection with its place in the list.")
class Edge(Generic[N]):
    cursor: str = strawberry.field(
        description="The object's place, for `after` and `before` of the same list."
    )
    node: N = strawberry.field(description="The object.")


class Page(NamedTuple):
    """Rows in the list's order, and what is known of the rest."""

    rows: Sequence[Row[Any]]
    has_next: bool
    has_previous: bool


def cut(rows: Sequence[Row[Any]], window: Window) -> Page:
    """From the rows of `windowed`: without the one too many, and the right way round."""
    has_more = len(rows) > window.size
    rows = rows[: window.size]
    if window.is_backward:
        return Page(rows[::-1], has_next=window.before is not None, has_previous=has_more)
    return Page(rows, has_next=has_more, has_previous=window.after is not None)


@dataclass(frozen=True, slots=True)
class Places:
    """The cursors of a page, each made only when it is asked for."""

    page: Page
    scope: bytes
    cursors: CursorSigner
    length: int

    def cursor(self, index: int) -> str:
        row = self.page.rows[index]
        place: list[Key] = [getattr(row, f"place_{number}") for number in range(self.length)]
        return self.cursors.encode(self.scope, place)


@strawberry.type(description="A page of a list.")
class Connection(Generic[N]):
    nodes: list[N] = strawberry.field(description="The objects of the page.")
    places: Private[Places]
    count: Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="The objects of the page, each with its cursor.")
    def edges(self) -> list[Edge[N]]:
        cursor = self.places.cursor
        return [Edge(cursor=cursor(index), node=node) for index, node in enumerate(self.nodes)]

    @strawberry.field(description="Where the page lies in its list.")
    def page_info(self) -> PageInfo:
        page, cursor = self.places.page, self.places.cursor
        return PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=cursor(0) if page.rows else None,
            end_cursor=cursor(len(page.rows) - 1) if page.rows else None,
        )

    @strawberry.field(description="How many objects the whole list has; counted when selected.")
    async def total_count(self) -> int:
        return await self.count()


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of a tenant (of all tenants, where `tenant_id` is None)."""

    scope: bytes
    tenant_id: UUID | None
    statement: Select[Any]
    sorting: Sorting


async def connect(
    info: Info, listing: Listing, page: PageArguments, make: Callable[[Any], N]
) -> Connection[N]:
    context = info.context
    window = page.window(context.cursors, listing.scope, listing.sorting)
    statement = windowed(listing.statement, listing.sorting, window)
    async with context.database.read(listing.tenant_id) as session:
        rows = (await session.execute(statement)).all()

    async def count() -> int:
        counted = listing.statement.order_by(None).subquery()
        async with context.database.read(listing.tenant_id) as session:
            return await session.scalar(select(func.count()).select_from(counted)) or 0

    places = Places(cut(rows, window), listing.scope, context.cursors, len(listing.sorting.keys))
    return _connection(places, make, count)


def _connection(
    places: Places, make: Callable[[Any], N], count: Callable[[], Awaitable[int]]
) -> Connection[N]:
    nodes = [make(row) for row in places.page.rows]
    return Connection(nodes=nodes, places=places, count=count)


Owner = tuple[UUID, ...]
"""Whose list it is: an id, and what else a list needs of its owner to be found quickly."""


class NestedListing(Protocol):
    """The same list of many owners, read for all of them at once.

    Equal values are one batch; a value's fields say which list it is, and cursors are bound to
    them.
    """

    def statement(self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]) -> Select[Any]:
        """The list of one owner."""
        ...

    def sorting(self) -> Sorting: ...

    def page(
        self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]], window: Window
    ) -> Select[Any]:
        return windowed(self.statement(tenant_id, owner), self.sorting(), window)


@dataclass(frozen=True, slots=True)
class NestedPages:
    """The batch of a nested list's pages: a lateral join, one statement for all owners."""

    listing: NestedListing
    window: Window

    async def __call__(
        self, session: AsyncSession, tenant_id: UUID, owners: Sequence[Owner]
    ) -> Mapping[Owner, Page]:
        table = _owners(owners)
        sorting = self.listing.sorting()
        one = self.listing.page(tenant_id, list(table.c), self.window).lateral()
        places = [one.c[f"place_{index}"] for index in range(len(sorting.keys))]
        statement = (
            select(table.c.owner_0.label("owner_id"), one)
            .select_from(table.join(one, true()))
            .order_by("owner_id", *ordered(places, sorting, self.window))
        )
        found: dict[UUID, list[Row[Any]]] = {owner[0]: [] for owner in owners}
        for row in await session.execute(statement):
            found[row.owner_id].append(row)
        return {owner: cut(found[owner[0]], self.window) for owner in owners}


@dataclass(frozen=True, slots=True)
class NestedCounts:
    """The batch of a nested list's totals."""

    listing: NestedListing

    async def __call__(
        self, session: AsyncSession, tenant_id: UUID, owners: Sequence[Owner]
    ) -> Mapping[Owner, int]:
        table = _owners(owners)
        one = self.listing.statement(tenant_id, list(table.c)).lateral()
        rows = await session.execute(
            select(table.c.owner_0, func.count().label("total"))
            .select_from(table.join(one, true()))
            .group_by(table.c.owner_0)
        )
        counts: dict[UUID, int] = {row.owner_0: row.total for row in rows}
        return {owner: counts.get(owner[0], 0) for owner in owners}


def _owners(owners: Sequence[Owner]) -> TableValuedAlias:
    columns = [literal(list(ids), ARRAY(Uuid)) for ids in zip(*owners, strict=True)]
    names = [column(f"owner_{index}", Uuid) for index in range(len(columns))]
    return func.unnest(*columns).table_valued(*names, name="owners").render_derived()


async def connect_nested(
    info: Info,
    listing: NestedListing,
    page: PageArguments,
    *,
    of: tuple[UUID, Owner],
    make: Callable[[Any], N],
) -> Connection[N]:
    """`of` is the tenant and the owner."""
    tenant_id, owner = of
    context = info.context
    scope = scope_of(listing, tenant_id, owner[0])
    window = page.window(context.cursors, scope, listing.sorting())
    found = await context.loaders.of(NestedPages(listing, window)).load((tenant_id, owner))

    async def count() -> int:
        return await context.loaders.of(NestedCounts(listing)).load((tenant_id, owner)) or 0

    rows = found or Page([], has_next=False, has_previous=False)
    places = Places(rows, scope, context.cursors, len(listing.sorting().keys))
    return _connection(places, make, count)
