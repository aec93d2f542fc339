"""The report of a preflight: six questions in numbers, and the lists behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any
from uuid import UUID

import strawberry
from sqlalchemy import ColumnElement, Select, select
from strawberry import Private
from strawberry.scalars import JSON
from strawberry.utils.str_converters import to_camel_case
from typing_extensions import override

from api.graphql import enums  # noqa: F401 - described before any type shows one
from api.graphql.change_parts import TYPE_CODES
from api.graphql.connection import Connection, NestedListing, connect_nested
from api.graphql.context import Info
from api.graphql.holds import HoldReason, reason_of
from api.graphql.node import encode_id
from api.graphql.pages import PageArguments, Paged, Sorting
from api.graphql.permissions import Permitted
from domain.integrations.models import ExistingAccounts
from domain.roster.models import Origin
from domain.roster.records import RecordType
from domain.sync import models
from domain.sync.preflight_items import PreflightOutcome, PreflightTopic
from domain.tenants.models import LicenceOrder

_UNSAID = "null where nobody has said what is expected."


@strawberry.type
class _Compared:
    expected: int | None = strawberry.field(description=f"How many were expected; {_UNSAID}")
    shared: int = strawberry.field(description="How many would be taken over.")
    shared_and_expected: int | None = strawberry.field(
        description=f"Of those, how many were expected; {_UNSAID}"
    )
    shared_not_expected: int | None = strawberry.field(description=f"And how many not; {_UNSAID}")
    expected_not_shared: int | None = strawberry.field(
        description=f"How many were expected and are not shared; {_UNSAID}"
    )
    left_out: int = strawberry.field(
        description="How many are shared, and left out by a sharing rule."
    )


@strawberry.type(description="The schools, beside those that were expected.")
class PreflightSchools(_Compared):
    pass


@strawberry.type(description="The classes, beside those that were expected.")
class PreflightClasses(_Compared):
    without_teacher: int = strawberry.field(description="Classes without a teacher.")
    empty: int = strawberry.field(description="Classes without students.")


@strawberry.type(description="What becomes of people who are here, by where they come from.")
class PreflightOriginCount:
    origin: Origin = strawberry.field(description="Where they come from.")
    matched: int = strawberry.field(description="Linked with a person of the provider's.")
    revived: int = strawberry.field(description="Archived now, and restored.")
    archived: int = strawberry.field(description="Archived.")
    unmatched: int = strawberry.field(
        description="Archived, since nobody at the new provider is known to be them."
    )
    kept: int = strawberry.field(description="Staying.")


@strawberry.type(description="The people: who is here, and what becomes of them.")
class PreflightUsers:
    policy: ExistingAccounts | None = strawberry.field(
        description="What was chosen for people from before rostering; null: nothing yet."
    )
    created: int = strawberry.field(description="People who are new.")
    ambiguous: int = strawberry.field(
        description="People of the provider's who may be several of those who are here."
    )
    by_origin: list[PreflightOriginCount] = strawberry.field(description="Those who are here.")


@strawberry.type(description="The licences, as if all of it were applied.")
class PreflightLicences:
    limit: int | None = strawberry.field(description="How many there are; null for no limit.")
    used: int = strawberry.field(description="How many are used now.")
    needed: int = strawberry.field(description="How many would be used.")
    short_by: int = strawberry.field(description="How many are missing.")
    expected: int | None = strawberry.field(description=f"How many were expected; {_UNSAID}")
    order: LicenceOrder | None = strawberry.field(description="Who gets one first.")


@strawberry.type(description="The usernames of people who are here and of those of the provider.")
class PreflightUsernames:
    same: int = strawberry.field(description="People whose username stays.")
    would_change: int = strawberry.field(description="People whose username would be another.")
    taken: int = strawberry.field(
        description="People of the provider's whose username belongs to somebody else."
    )
    case_clashes: int = strawberry.field(
        description="The same, where the two differ by upper and lower case."
    )
    legacy_same: int = strawberry.field(
        description="People from before rostering whose username the provider has too."
    )
    legacy_different: int = strawberry.field(
        description="People from before rostering whose username the provider does not have."
    )


@strawberry.type(description="Records with progress or settings, and what happens to those.")
class PreflightLocalData:
    outcome: PreflightOutcome = strawberry.field(description="What happens.")
    record_type: RecordType = strawberry.field(
        description="To what of: a person's, a group's, a school's, or a person's in one group."
    )
    count: int = strawberry.field(description="How many of them have anything.")


@strawberry.type(description="The turn of a school year by whose limits a preflight was judged.")
class PreflightRollover:
    rolls_on: date = strawberry.field(description="The first day of the school year.")
    archive_percent: int = strawberry.field(
        description="This percentage of the groups, people or memberships may be archived unasked."
    )
    update_percent: int = strawberry.field(
        description="This percentage of them may be updated unasked."
    )

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "PreflightRollover":
        return cls(**{**told, "rolls_on": date.fromisoformat(told["rolls_on"])})


@strawberry.type(description="How many changes of a kind of record would wait for approval.")
class PreflightHeld:
    record_type: RecordType = strawberry.field(description="The kind of record.")
    count: int = strawberry.field(description="How many would wait.")


@strawberry.type(description="One more thing that a preflight says of a record.")
class PreflightDetail:
    name: str = strawberry.field(description="What it is about.")
    value: JSON = strawberry.field(description="What is so.")


@strawberry.type(description="One line of a list behind the numbers of a preflight.")
class PreflightItem:
    topic: PreflightTopic = strawberry.field(description="The question.")
    outcome: PreflightOutcome = strawberry.field(description="The answer.")
    record_type: RecordType = strawberry.field(description="The kind of record.")
    record_id: strawberry.ID | None = strawberry.field(
        description="The id of the stored object, for `node`; null for what is not stored."
    )
    source_id: str | None = strawberry.field(description="The provider's id of the record.")
    name: str | None = strawberry.field(
        description="Its name; of what was expected and is not shared, what was said."
    )
    details: list[PreflightDetail] = strawberry.field(description="What else is to be said.")

    @classmethod
    def of(cls, row: Any) -> "PreflightItem":
        kind = RecordType(row.record_type)
        return cls(
            topic=PreflightTopic(row.topic),
            outcome=PreflightOutcome(row.outcome),
            record_type=kind,
            record_id=encode_id(TYPE_CODES[kind], row.tenant_id, row.record_id)
            if row.record_id
            else None,
            source_id=row.source_id,
            name=row.name,
            details=[
                PreflightDetail(name=to_camel_case(name), value=value)
                for name, value in sorted(row.details.items())
            ],
        )


@strawberry.input(description="Which lines are wanted; all conditions hold together.")
class PreflightItemFilter:
    topic: PreflightTopic | None = strawberry.field(default=None, description="Of this question.")
    outcome: PreflightOutcome | None = strawberry.field(
        default=None, description="With this answer."
    )
    record_type: RecordType | None = strawberry.field(
        default=None, description="About records of this kind."
    )


@dataclass(frozen=True, slots=True)
class ItemsOfRuns(NestedListing):
    """By question; within one, in the order in which they were put down."""

    topic: PreflightTopic | None
    outcome: PreflightOutcome | None
    record_type: RecordType | None
    name: str = "preflightItems"

    @override
    def statement(self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]) -> Select[Any]:
        row = models.PreflightItem
        statement = select(*row.__table__.columns).where(
            row.tenant_id == tenant_id, row.run_id == owner[0]
        )
        for column, wanted in (
            (row.topic, self.topic),
            (row.outcome, self.outcome),
            (row.record_type, self.record_type),
        ):
            if wanted is not None:
                statement = statement.where(column == wanted)
        return statement

    @override
    def sorting(self) -> Sorting:
        return Sorting.by([models.PreflightItem.topic], models.PreflightItem.id)


@strawberry.type(
    description="What a sync would do, in answers to six questions. Nothing has been changed."
)
class PreflightReport:
    schools: PreflightSchools = strawberry.field(
        description="Do the schools match those that were expected?"
    )
    classes: PreflightClasses = strawberry.field(description="Do the classes?")
    existing_users: PreflightUsers = strawberry.field(
        description="Who is here already, and what becomes of them?"
    )
    licences: PreflightLicences = strawberry.field(description="Are there enough licences?")
    usernames: PreflightUsernames = strawberry.field(description="Do the usernames match?")
    local_data: list[PreflightLocalData] = strawberry.field(
        description="What happens to the settings and the progress that are here?"
    )
    rollover: PreflightRollover | None = strawberry.field(
        description="The turn of a school year by whose limits it was judged; null: by the usual "
        "ones."
    )
    would_hold: list[HoldReason] = strawberry.field(
        description="Why a part of it would wait for an administrator; empty: nothing would."
    )
    held: list[PreflightHeld] = strawberry.field(description="How much would wait.")
    tenant_id: Private[UUID]
    run_id: Private[UUID]

    @strawberry.field(
        description="The lists behind the numbers, by question. What stays as it is is not in "
        "them.",
        extensions=[Paged()],
        permission_classes=[Permitted],
    )
    async def items(
        self,
        info: Info,
        page: PageArguments,
        filter: Annotated[
            PreflightItemFilter | None, strawberry.argument(description="Which lines are wanted.")
        ] = None,
    ) -> Connection[PreflightItem]:
        chosen = filter or PreflightItemFilter()
        listing = ItemsOfRuns(chosen.topic, chosen.outcome, chosen.record_type)
        owner = (self.tenant_id, (self.run_id,))
        return await connect_nested(info, listing, page, of=owner, make=PreflightItem.of)

    @classmethod
    def of(
        cls, report: Mapping[str, Any] | None, *, tenant_id: UUID, run_id: UUID
    ) -> "PreflightReport | None":
        """None where the run was no preflight, or did not come so far."""
        if report is None:
            return None
        users = report["users"]
        return cls(
            schools=PreflightSchools(**report["schools"]),
            classes=PreflightClasses(**report["classes"]),
            existing_users=PreflightUsers(
                policy=ExistingAccounts(users["policy"]) if users["policy"] else None,
                created=users["created"],
                ambiguous=users["ambiguous"],
                by_origin=[
                    PreflightOriginCount(origin=origin, **users["by_origin"][origin])
                    for origin in Origin
                    if origin in users["by_origin"]
                ],
            ),
            licences=_licences(report["licences"]),
            usernames=PreflightUsernames(**report["usernames"]),
            local_data=[
                PreflightLocalData(
                    outcome=PreflightOutcome(each["outcome"]),
                    record_type=RecordType(each["record_type"]),
                    count=each["count"],
                )
                for each in report["local_data"]
            ],
            # Reports from before there were rollovers do not say.
            rollover=PreflightRollover.of(report["rollover"]) if report.get("rollover") else None,
            would_hold=[reason_of(tenant_id, reason) for reason in report["would_hold"]],
            held=[
                PreflightHeld(record_type=kind, count=report["held"][kind])
                for kind in RecordType
                if kind in report["held"]
            ],
            tenant_id=tenant_id,
            run_id=run_id,
        )


def _licences(numbers: Mapping[str, Any]) -> PreflightLicences:
    order = numbers["order"]
    return PreflightLicences(**{**numbers, "order": LicenceOrder(order) if order else None})
