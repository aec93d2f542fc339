"""Validation errors: each one, and grouped by what one correction would mend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

import strawberry
from sqlalchemy import ColumnElement, Select, select
from strawberry import Private
from strawberry.scalars import JSON
from typing_extensions import override

from api.graphql.connection import Listing, NestedListing
from api.graphql.context import Info
from api.graphql.cursors import scope_of
from api.graphql.described import describe
from api.graphql.errors import bad_input
from api.graphql.node import Node, load
from api.graphql.pages import OrderDirection, Sorting
from api.graphql.run_parts import Actor
from domain.roster.records import RecordType
from domain.validation import models
from domain.validation.causes import list_causes
from domain.validation.codes import RULES, Code, Owner, Rule, Severity, effect_of
from domain.validation.models import ErrorState

GROUP_CAP = 100
CHOICES_CAP = 50
"""How many values a list in a filter may have."""


@strawberry.type(description="One problem with one record of the provider.")
class ValidationError(Node):
    type_code: ClassVar[str] = "E"
    row: ClassVar[type[Any]] = models.ValidationError
    guard: ClassVar[str | None] = "Tenant.validationErrors"
    derived: ClassVar[tuple[str, ...]] = ("accepted_by",)
    sources: ClassVar[tuple[str, ...]] = ("accepted_by",)

    code: Code = strawberry.field(description="What is wrong.")
    severity: Severity = strawberry.field(description="What it does.")
    state: ErrorState = strawberry.field(description="What has become of it.")
    record_type: RecordType = strawberry.field(description="The kind of record.")
    source_id: str | None = strawberry.field(description="The provider's id of the record.")
    field: str | None = strawberry.field(description="The field that is wrong.")
    expected: str | None = strawberry.field(description="What would have been right.")
    found: str | None = strawberry.field(description="What was there.")
    place: str | None = strawberry.field(description="Where it was read: file and line, say.")
    cause: str = strawberry.field(description="What one correction would mend; see the groups.")
    record: JSON | None = strawberry.field(
        description="The provider's record: the mapped fields only. Of a problem that stands for "
        "several records how many they are, `concerned`, and some of their ids, `examples`."
    )
    first_seen_at: datetime = strawberry.field(description="When a run saw it first.")
    last_seen_at: datetime = strawberry.field(description="When a run saw it last.")
    runs: int = strawberry.field(description="How many runs have seen it.")
    resolved_at: datetime | None = strawberry.field(description="When a run no longer saw it.")
    accepted_at: datetime | None = strawberry.field(
        description="When it was accepted; null where it is not."
    )
    accepted_by: Actor | None = strawberry.field(description="Who has accepted it.")
    accepted_note: str | None = strawberry.field(description="Why, in their words.")

    @classmethod
    @override
    def derive(cls, row: Any) -> Mapping[str, Any]:
        return {"accepted_by": Actor.of(row.accepted_by) if row.accepted_by else None}

    @strawberry.field(description="What is wrong, in a few words.")
    def title(self) -> str:
        return rule_of(self.code).title

    @strawberry.field(description="Who can mend it.")
    def owner(self) -> Owner:
        return rule_of(self.code).owner

    @strawberry.field(description="What Homerow did.")
    def effect(self) -> str:
        return effect_of(self.code, self.severity)

    @strawberry.field(description="What to do, and where.")
    def remedy(self) -> str:
        return rule_of(self.code).remedy


def rule_of(code: str) -> Rule:
    return RULES[Code(code)]


@strawberry.type(description="Open errors of one code and one cause: one correction mends them.")
class ValidationErrorGroup:
    code: Code = strawberry.field(description="What is wrong.")
    title: str = strawberry.field(description="What is wrong, in a few words.")
    severity: Severity = strawberry.field(description="The worst that one of them does.")
    owner: Owner = strawberry.field(description="Who can mend it.")
    cause: str = strawberry.field(
        description="What they have in common: the missing class of many enrollments, say."
    )
    count: int = strawberry.field(description="How many errors they are.")
    weight: int = strawberry.field(
        description="How many records one correction mends: those of the errors, and those that "
        "fail because of them, as enrollments do of a class that was not applied."
    )
    effect: str = strawberry.field(description="What Homerow did.")
    remedy: str = strawberry.field(description="What to do, and where.")
    example_id: Private[UUID]
    tenant_id: Private[UUID]

    @strawberry.field(description="The first of the errors.")
    async def example(self, info: Info) -> ValidationError | None:
        return await load(info, ValidationError, self.tenant_id, self.example_id)


async def list_groups(info: Info, tenant_id: UUID) -> list[ValidationErrorGroup]:
    """The worst first, then the heaviest."""
    async with info.context.database.read(tenant_id) as session:
        rows = await list_causes(session, tenant_id, GROUP_CAP)
    return [_group(tenant_id, found) for found in rows]


def _group(tenant_id: UUID, found: Any) -> ValidationErrorGroup:
    rule, severity = rule_of(found.code), list(Severity)[found.rank]
    return ValidationErrorGroup(
        code=found.code,
        title=rule.title,
        severity=severity,
        owner=rule.owner,
        cause=found.cause,
        count=found.count,
        weight=found.weight,
        effect=effect_of(found.code, severity),
        remedy=rule.remedy,
        example_id=found.example_id,
        tenant_id=tenant_id,
    )


class ValidationErrorOrderField(StrEnum):
    CREATED = "CREATED"
    LAST_SEEN = "LAST_SEEN"


describe(
    ValidationErrorOrderField,
    "What validation errors are ordered by.",
    CREATED="When they were seen first.",
    LAST_SEEN="When they were seen last.",
)


@strawberry.input(description="How validation errors are ordered.")
class ValidationErrorOrder:
    field: ValidationErrorOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.ASC, description="Which way."
    )


@strawberry.input(description="Which validation errors are wanted; all conditions hold together.")
class ValidationErrorFilter:
    state: list[ErrorState] | None = strawberry.field(
        default=None, description="Only errors in one of these states."
    )
    severity: list[Severity] | None = strawberry.field(
        default=None, description="Only errors of one of these severities."
    )
    code: list[Code] | None = strawberry.field(
        default=None, description=f"Only errors with one of these codes, at most {CHOICES_CAP}."
    )
    cause: str | None = strawberry.field(default=None, description="Only errors of this cause.")
    record_type: RecordType | None = strawberry.field(
        default=None, description="Only errors of records of this kind."
    )
    source_id: str | None = strawberry.field(
        default=None, description="Only errors of the record with this id of the provider's."
    )

    def conditions(self) -> list[ColumnElement[bool]]:
        row = models.ValidationError
        lists = ((row.state, self.state), (row.severity, self.severity), (row.code, self.code))
        values = (
            (row.cause, self.cause),
            (row.record_type, self.record_type),
            (row.source_id, self.source_id),
        )
        return [
            *(column.in_(bounded(chosen)) for column, chosen in lists if chosen is not None),
            *(column == value for column, value in values if value is not None),
        ]


def bounded(chosen: Sequence[Any]) -> Sequence[Any]:
    """Raises the caller's error."""
    if len(chosen) > CHOICES_CAP:
        raise bad_input(f"A list in a filter has at most {CHOICES_CAP} values.")
    return chosen


def validation_errors(
    tenant_id: UUID, filter: ValidationErrorFilter | None, order_by: ValidationErrorOrder | None
) -> Listing:
    chosen = filter or ValidationErrorFilter()
    order = order_by or ValidationErrorOrder(field=ValidationErrorOrderField.CREATED)
    row = models.ValidationError
    statement = select(*ValidationError.columns()).where(
        row.tenant_id == tenant_id, *chosen.conditions()
    )
    keys = [row.last_seen_at] if order.field is ValidationErrorOrderField.LAST_SEEN else []
    return Listing(
        scope_of("validationErrors", tenant_id, chosen, order),
        tenant_id,
        statement,
        Sorting.by(keys, row.id, order.direction),
    )


@dataclass(frozen=True, slots=True)
class ErrorsOfRuns(NestedListing):
    """The errors that runs were the last to see."""

    name: str = "validationErrors"

    @override
    def statement(self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]) -> Select[Any]:
        row = models.ValidationError
        return select(*ValidationError.columns()).where(
            row.tenant_id == tenant_id, row.last_seen_run_id == owner[0]
        )

    @override
    def sorting(self) -> Sorting:
        return Sorting.by([], models.ValidationError.id)
