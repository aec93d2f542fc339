"""The audit log: administrative acts and sign-ins, as they were written down."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import strawberry
from sqlalchemy import ColumnElement, false, select
from strawberry import Private
from strawberry.scalars import JSON
from typing_extensions import override

from api.graphql.change_parts import as_api
from api.graphql.connection import Connection, Listing, connect
from api.graphql.context import Info
from api.graphql.cursors import scope_of
from api.graphql.errors import bad_input
from api.graphql.node import Node, load, read_id
from api.graphql.pages import OrderDirection, PageArguments, Sorting
from api.graphql.permissions import Permitted
from api.graphql.roster import User
from api.graphql.run_parts import Actor
from domain.people import models

_TEXT_LENGTH = 200


@strawberry.type(description="Something that somebody did.")
class AuditEntry(Node):
    type_code: ClassVar[str] = "A"
    row: ClassVar[type[Any]] = models.AuditEntry
    guard: ClassVar[str | None] = "Tenant.auditLog"
    derived: ClassVar[tuple[str, ...]] = ("actor", "details", "user_id")
    sources: ClassVar[tuple[str, ...]] = ("actor", "details")

    created_at: datetime = strawberry.field(description="When.")
    actor: Actor = strawberry.field(description="Who.")
    action: str = strawberry.field(
        description="What: a mutation's name, whichever way it was asked for, or `signIn`."
    )
    target: str | None = strawberry.field(
        description="What it was done to, by the id that the database has for it."
    )
    details: JSON = strawberry.field(
        description="Ids and settings, which differ by the action. Names of people, addresses and "
        "secrets are never among them."
    )
    user_id: Private[UUID | None]

    @classmethod
    @override
    def derive(cls, row: Any) -> Mapping[str, Any]:
        return {
            "actor": Actor.of(row.actor),
            "details": as_api(row.details),
            "user_id": _person_of(row.actor),
        }

    @strawberry.field(
        description="The person who did it; null where it was nobody of the roster.",
        permission_classes=[Permitted],
    )
    async def user(self, info: Info) -> User | None:
        if self.user_id is None:
            return None
        return await load(info, User, self.tenant_id, self.user_id)


def _person_of(actor: str) -> UUID | None:
    kind, _, key = actor.partition(" ")
    return UUID(key) if kind == "user" else None


@strawberry.input(description="Which entries are wanted; all conditions hold together.")
class AuditLogFilter:
    actor: str | None = strawberry.field(
        default=None, description="Only acts of this actor, written as an actor's label."
    )
    user: strawberry.ID | None = strawberry.field(
        default=None, description="Only acts of the person with this id."
    )
    action: str | None = strawberry.field(default=None, description="Only this action.")
    target: str | None = strawberry.field(
        default=None, description="Only what was done to this, written as an entry's target."
    )
    from_: datetime | None = strawberry.field(
        default=None, name="from", description="Only entries from this moment on."
    )
    to: datetime | None = strawberry.field(
        default=None, description="Only entries from before this moment."
    )


Filter = Annotated[
    AuditLogFilter | None, strawberry.argument(description="Which entries are wanted.")
]


async def audit_log_of(
    parent: strawberry.Parent[Node], info: Info, page: PageArguments, filter: Filter = None
) -> Connection[AuditEntry]:
    listing = _audit_log(parent.tenant_id, filter or AuditLogFilter())
    return await connect(info, listing, page, AuditEntry.of)


def _audit_log(tenant_id: UUID, chosen: AuditLogFilter) -> Listing:
    row = models.AuditEntry
    return Listing(
        scope_of("auditLog", tenant_id, chosen),
        tenant_id,
        select(*AuditEntry.columns()).where(
            row.tenant_id == tenant_id, *_conditions(tenant_id, chosen)
        ),
        Sorting.by([row.created_at], row.id, OrderDirection.DESC),
    )


def _conditions(tenant_id: UUID, chosen: AuditLogFilter) -> list[ColumnElement[bool]]:
    row = models.AuditEntry
    conditions: list[ColumnElement[bool]] = []
    for name in ("actor", "action", "target"):
        wanted = getattr(chosen, name)
        if wanted is not None:
            conditions.append(getattr(row, name) == _bounded(name, wanted))
    if chosen.user is not None:
        found = read_id(chosen.user, User.type_code)
        is_own = found.tenant_id == tenant_id
        conditions.append(row.actor == f"user {found.key}" if is_own else false())
    if chosen.from_ is not None:
        conditions.append(row.created_at >= _instant("from", chosen.from_))
    if chosen.to is not None:
        conditions.append(row.created_at < _instant("to", chosen.to))
    return conditions


def _bounded(name: str, text: str) -> str:
    if len(text) > _TEXT_LENGTH:
        raise bad_input(f"`{name}` has at most {_TEXT_LENGTH} characters.")
    return text


def _instant(name: str, moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise bad_input(f"`{name}` is a moment: give its offset from UTC.")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise bad_input(f"`{name}` is too far away.") from error
