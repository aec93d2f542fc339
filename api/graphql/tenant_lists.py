"""Lists of tenants: which ones are wanted, and in which order."""

from enum import StrEnum
from typing import Any

import strawberry
from sqlalchemy import column, func, select

from api.graphql.connection import Listing
from api.graphql.context import Info
from api.graphql.cursors import scope_of
from api.graphql.described import describe
from api.graphql.pages import OrderDirection, Sorting
from api.graphql.roster_lists import contains
from domain.tenants import models
from domain.tenants.models import TenantStatus


def columns_of(row: Any) -> list[Any]:
    """A tenant is its own tenant. `row` is the table, or what looks like it."""
    names = ("id", "slug", "name", "display_name", "time_zone", "status", "is_listed", "created_at")
    return [row.id.label("tenant_id"), *(getattr(row, name) for name in names)]


class TenantOrderField(StrEnum):
    NAME = "NAME"
    SLUG = "SLUG"
    CREATED = "CREATED"


describe(
    TenantOrderField,
    "What tenants are ordered by.",
    NAME="The name.",
    SLUG="The slug.",
    CREATED="When they were created.",
)


@strawberry.input(description="How tenants are ordered.")
class TenantOrder:
    field: TenantOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.ASC, description="Which way."
    )


@strawberry.input(description="Which tenants are wanted; all conditions hold together.")
class TenantFilter:
    status: TenantStatus | None = strawberry.field(
        default=None, description="Only tenants with this status."
    )
    search: str | None = strawberry.field(
        default=None, description="A part of the name, the display name or the slug."
    )


def tenants(info: Info, filter: TenantFilter | None, order_by: TenantOrder | None) -> Listing:
    """All of them on the product's own side, by an audited function; else the caller's own."""
    caller = info.context.caller
    table = func.list_tenants().table_valued(
        *(column(known.name, known.type) for known in models.Tenant.__table__.columns)
    )
    row: Any = table.alias("tenants").c if caller.is_product_side else models.Tenant
    chosen = filter or TenantFilter()
    order = order_by or TenantOrder(field=TenantOrderField.NAME)
    statement = select(*columns_of(row)).where(
        *contains(chosen.search, row.name, row.display_name, row.slug)
    )
    if not caller.is_product_side:
        statement = statement.where(row.id == caller.tenant_id)
    if chosen.status is not None:
        statement = statement.where(row.status == chosen.status)
    keys: dict[TenantOrderField, list[Any]] = {
        TenantOrderField.NAME: [func.lower(row.name)],
        TenantOrderField.SLUG: [row.slug],
        TenantOrderField.CREATED: [],
    }
    return Listing(
        scope_of("tenants", caller.tenant_id, chosen, order),
        caller.tenant_id,
        statement,
        Sorting.by(keys[order.field], row.id, order.direction),
    )
