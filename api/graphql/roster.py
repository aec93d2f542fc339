"""The roster: schools, terms, courses, groups, people and memberships, and who manages them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, cast
from uuid import UUID

import strawberry
from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from strawberry import Private
from typing_extensions import override

from api.graphql.change_parts import TYPE_CODES, SyncChange
from api.graphql.connection import Connection, NestedListing, connect_nested
from api.graphql.context import Info
from api.graphql.default_places import (
    DefaultGroup,
    DefaultSchool,
    default_group_of,
    default_school_of,
)
from api.graphql.eligibility_parts import (
    ELIGIBLE,
    UserEligibility,
    eligibility_of,
    is_eligible_of,
)
from api.graphql.history import history_of
from api.graphql.loaders import Loaded
from api.graphql.managed import MANAGED, ManagedFields, managed_by_of
from api.graphql.node import ById, Node, any_of, load, loaded
from api.graphql.pages import PageArguments, Paged, Sorting
from api.graphql.permissions import Permitted
from api.graphql.progress import Progress, ProgressCarry, carries_of, progress_of
from api.graphql.progress_summary import ProgressSummary, progress_summary_of
from api.graphql.rostered import Course, Rostered, Term, terms_by_source_id
from api.graphql.settings_parts import (
    EffectiveTrainingSettings,
    settings_of,
    settings_of_user,
)
from api.graphql.sign_in_help import SignInHelp, sign_in_help_of
from api.graphql.spans import MembershipSpan, spans_of_memberships
from domain.integrations.models import Integration, IntegrationStatus
from domain.roster import models
from domain.roster.models import Origin
from domain.roster.records import MembershipRole, RecordType, Role

LIST_CAP = 100
"""How many objects a plain list has at most; what may be longer is a connection as well."""


@strawberry.type(description="A school.")
class School(Rostered):
    type_code: ClassVar[str] = TYPE_CODES[RecordType.SCHOOL]
    row: ClassVar[type[Any]] = models.School

    name: str = strawberry.field(description="The name that the provider gives.")
    display_name: str | None = strawberry.field(
        description="The name shown at sign-in, where it is another."
    )
    number: str | None = strawberry.field(description="The district's or state's number of it.")
    training_settings: EffectiveTrainingSettings = strawberry.field(
        resolver=settings_of,
        graphql_type=EffectiveTrainingSettings,
        description="The training settings that count in it.",
    )
    progress_summary: ProgressSummary = strawberry.field(
        resolver=progress_summary_of,
        description="How its students are doing in a school year.",
        permission_classes=[Permitted],
    )


@strawberry.input(description="Which memberships are wanted.")
class MembershipFilter:
    role: MembershipRole | None = strawberry.field(
        default=None, description="Only memberships with this role."
    )
    archived: bool | None = strawberry.field(
        default=False, description="Live ones (false), archived ones (true) or both (null)."
    )


@dataclass(frozen=True, slots=True)
class MembershipsOf(NestedListing):
    """The memberships of users (`name` is user_id) or groups (group_id)."""

    name: str
    role: MembershipRole | None
    archived: bool | None

    @classmethod
    def filtered(cls, name: str, filter: MembershipFilter | None) -> "MembershipsOf":
        chosen = filter or MembershipFilter()
        return cls(name, chosen.role, chosen.archived)

    @override
    def statement(self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]) -> Select[Any]:
        row = models.Membership
        statement = select(*Membership.columns()).where(
            row.tenant_id == tenant_id, getattr(row, self.name) == owner[0]
        )
        if self.role:
            statement = statement.where(row.role == self.role)
        return statement.where(*is_archived(row.archived_at, self.archived))

    @override
    def sorting(self) -> Sorting:
        return Sorting.by([], models.Membership.id)


def is_archived(
    column: InstrumentedAttribute[datetime | None], archived: bool | None
) -> list[ColumnElement[bool]]:
    """No condition for both, the live and the archived."""
    if archived is None:
        return []
    return [column.is_not(None) if archived else column.is_(None)]


Filter = Annotated[
    MembershipFilter | None, strawberry.argument(description="Which memberships are wanted.")
]


@strawberry.type(description="A class: Clever's section, OneRoster's class.")
class Group(Rostered):
    type_code: ClassVar[str] = TYPE_CODES[RecordType.GROUP]
    row: ClassVar[type[Any]] = models.Group
    derived: ClassVar[tuple[str, ...]] = ("visible_on",)

    name: str = strawberry.field(description="The name that the provider gives.")
    code: str | None = strawberry.field(description="The school's code for it.")
    kind: str | None = strawberry.field(description="The provider's word for its kind.")
    period: str | None = strawberry.field(description="When it meets.")
    grades: list[str] = strawberry.field(description="The grades it is for, as CEDS codes.")
    subjects: list[str] = strawberry.field(description="Its subjects, in the provider's words.")
    starts_on: date | None = strawberry.field(description="The first day of its terms.")
    ends_on: date | None = strawberry.field(description="The first day after its terms.")
    visible_on: date | None = strawberry.field(
        description="From which day people see it: some days before it starts, as many as the "
        "integration says. Null where its start is not known: then it is always seen."
    )
    school_id: Private[UUID]
    course_id: Private[UUID | None]
    term_source_ids: Private[list[str]]

    progress: Connection[Progress] = strawberry.field(
        resolver=progress_of,
        description="What was earned in it, the latest school year first.",
        extensions=[Paged()],
    )
    training_settings: EffectiveTrainingSettings = strawberry.field(
        resolver=settings_of,
        graphql_type=EffectiveTrainingSettings,
        description="The training settings that count in it.",
    )
    progress_summary: ProgressSummary = strawberry.field(
        resolver=progress_summary_of,
        description="How its students are doing in a school year.",
        permission_classes=[Permitted],
    )

    @classmethod
    @override
    def columns(cls) -> list[Any]:
        row, integration = models.Group, Integration
        lead_days = (
            select(func.max(integration.group_lead_days))
            .where(
                integration.tenant_id == row.tenant_id,
                integration.status != IntegrationStatus.DISCONNECTED,
            )
            .scalar_subquery()
        )
        # Python knows no day before the year 1, which some write for no day.
        is_early = row.starts_on < date(2, 1, 1)
        lead = case((is_early, 0), else_=func.coalesce(lead_days, 0))
        visible_on = row.starts_on - lead
        return [*super().columns(), visible_on.label("visible_on")]

    @classmethod
    @override
    def derive(cls, row: Any) -> Mapping[str, Any]:
        return {"visible_on": row.visible_on}

    @strawberry.field(graphql_type=School | None, description="The school that it belongs to.")
    def school(self, info: Info) -> Loaded[School | None]:
        return loaded(info, School, self.tenant_id, self.school_id)

    @strawberry.field(description="The course that it is a class of.")
    async def course(self, info: Info) -> Course | None:
        if self.course_id is None:
            return None
        return await load(info, Course, self.tenant_id, self.course_id)

    @strawberry.field(description=f"The terms that it runs in, at most {LIST_CAP}.")
    async def terms(self, info: Info) -> list[Term]:
        keys = [(self.tenant_id, key) for key in self.term_source_ids[:LIST_CAP]]
        found = await info.context.loaders.of(terms_by_source_id).load_many(keys)
        return [term for term in found if term]

    @strawberry.field(description="Who is in it.", extensions=[Paged()])
    async def memberships(
        self, info: Info, page: PageArguments, filter: Filter = None
    ) -> Connection["Membership"]:
        listing = MembershipsOf.filtered("group_id", filter)
        owner = (self.tenant_id, (self.key,))
        return await connect_nested(info, listing, page, of=owner, make=Membership.of)


@strawberry.type(description="A person.")
class User(Rostered):
    type_code: ClassVar[str] = TYPE_CODES[RecordType.USER]
    row: ClassVar[type[Any]] = models.User

    username: str | None = strawberry.field(
        description="What the person signs in with; unique among live people, whatever its case."
    )
    given_name: str = strawberry.field(description="The given name that the provider gives.")
    family_name: str = strawberry.field(description="The family name that the provider gives.")
    preferred_given_name: str | None = strawberry.field(
        description="The given name that the person wants to be called by."
    )
    preferred_family_name: str | None = strawberry.field(
        description="The family name that the person wants to be called by."
    )
    email: str | None = strawberry.field(
        description="The email address; students' only where the tenant asked for them."
    )
    number: str | None = strawberry.field(description="The student or staff number.")
    roles: list[Role] = strawberry.field(description="What the person is in the tenant.")
    grades: list[str] = strawberry.field(description="The grades, as CEDS codes.")
    is_enabled: bool = strawberry.field(
        description="Whether the provider lets the person sign in anywhere."
    )
    is_eligible: bool = strawberry.field(
        resolver=is_eligible_of,
        description="Whether the person may use the product, whoever says so. A student who is "
        "not eligible is rostered, takes no licence and cannot sign in.",
    )
    eligibility: UserEligibility | None = strawberry.field(
        resolver=eligibility_of, description=ELIGIBLE
    )
    sign_in: SignInHelp = strawberry.field(
        resolver=sign_in_help_of,
        description="Whether the person can sign in and, if not, what stands in the way.",
        permission_classes=[Permitted],
    )

    @strawberry.field(graphql_type=School | None, description="The first of the person's schools.")
    def school(self, info: Info) -> Loaded[School | None]:
        found = info.context.loaders.of(schools_of_users).load((self.tenant_id, self.key))
        return Loaded(found, lambda schools: schools[0] if schools else None)

    @strawberry.field(
        graphql_type=list[School],
        description=f"The person's schools, at most {LIST_CAP}; the primary one is the first.",
    )
    def schools(self, info: Info) -> Loaded[list[School]]:
        found = info.context.loaders.of(schools_of_users).load((self.tenant_id, self.key))
        return Loaded(found, lambda schools: schools or [])

    @strawberry.field(
        graphql_type=list[Group],
        description="The live groups that the person is in, by name, "
        f"at most {LIST_CAP}; `memberships` has them all.",
    )
    def groups(self, info: Info) -> Loaded[list[Group]]:
        found = info.context.loaders.of(groups_of_users).load((self.tenant_id, self.key))
        return Loaded(found, lambda groups: groups or [])

    default_group: DefaultGroup = strawberry.field(
        resolver=default_group_of, description="The group that the person lands in."
    )
    default_school: DefaultSchool = strawberry.field(
        resolver=default_school_of, description="The school that the person lands in."
    )

    progress: Connection[Progress] = strawberry.field(
        resolver=progress_of,
        description="What the person has earned in which groups, the latest school year first.",
        extensions=[Paged()],
    )
    progress_carries: Connection[ProgressCarry] = strawberry.field(
        resolver=carries_of,
        description="What of it was carried from group to group, the latest first.",
        extensions=[Paged()],
    )
    training_settings: EffectiveTrainingSettings = strawberry.field(
        resolver=settings_of_user,
        graphql_type=EffectiveTrainingSettings,
        description="The training settings that count for the person.",
    )
    progress_summary: ProgressSummary = strawberry.field(
        resolver=progress_summary_of, description="How the person is doing in a school year."
    )

    @strawberry.field(description="What the person is in which groups.", extensions=[Paged()])
    async def memberships(
        self, info: Info, page: PageArguments, filter: Filter = None
    ) -> Connection["Membership"]:
        listing = MembershipsOf.filtered("user_id", filter)
        owner = (self.tenant_id, (self.key,))
        return await connect_nested(info, listing, page, of=owner, make=Membership.of)


@strawberry.type(description="A person in a group with a role.")
class Membership(Node):
    type_code: ClassVar[str] = TYPE_CODES[RecordType.MEMBERSHIP]
    row: ClassVar[type[Any]] = models.Membership

    role: MembershipRole = strawberry.field(description="What the person is in the group.")
    origin: Origin = strawberry.field(
        description="Where it comes from; a sync touches only what the provider shares."
    )
    archived_at: datetime | None = strawberry.field(
        description="When it was archived; null while it is live."
    )
    managed_by: list[ManagedFields] = strawberry.field(resolver=managed_by_of, description=MANAGED)
    user_id: Private[UUID]
    group_id: Private[UUID]

    @strawberry.field(
        description="What syncs did to it, the latest first; its creation is the last.",
        extensions=[Paged()],
        permission_classes=[Permitted],
    )
    async def changes(self, info: Info, page: PageArguments) -> Connection[SyncChange]:
        return await history_of(info, self, page)

    @strawberry.field(description="The person.")
    async def user(self, info: Info) -> User | None:
        return await load(info, User, self.tenant_id, self.user_id)

    @strawberry.field(description="The group.")
    async def group(self, info: Info) -> Group | None:
        return await load(info, Group, self.tenant_id, self.group_id)

    @strawberry.field(description="The enrollments that make it, one or more, by their beginning.")
    async def spans(self, info: Info) -> list[MembershipSpan]:
        key = (self.tenant_id, self.key)
        return await info.context.loaders.of(spans_of_memberships).load(key) or []


async def schools_of_users(
    session: AsyncSession, tenant_id: UUID, user_ids: Sequence[UUID]
) -> Mapping[UUID, list[School]]:
    link, row = models.SchoolAffiliation, models.School
    rows = await session.execute(
        select(link.user_id, *School.columns())
        .join(row, (row.tenant_id == link.tenant_id) & (row.id == link.school_id))
        .where(link.tenant_id == tenant_id, link.user_id == any_of(user_ids))
        .order_by(link.user_id, link.position, row.id)
    )
    schools: dict[UUID, list[School]] = {}
    for found in rows:
        schools.setdefault(found.user_id, []).append(School.of(found))
    return {user_id: listed[:LIST_CAP] for user_id, listed in schools.items()}


async def groups_of_users(
    session: AsyncSession, tenant_id: UUID, user_ids: Sequence[UUID]
) -> Mapping[UUID, list[Group]]:
    """A person who is in a group with two roles has it once."""
    link, row = models.Membership, models.Group
    number = func.row_number().over(partition_by=link.user_id, order_by=(row.name, row.id))
    numbered = (
        select(link.user_id, link.group_id, number.label("number"))
        .join(row, (row.tenant_id == link.tenant_id) & (row.id == link.group_id))
        .where(link.tenant_id == tenant_id, link.user_id == any_of(user_ids))
        .where(link.archived_at.is_(None), row.archived_at.is_(None))
        .group_by(link.user_id, link.group_id, row.name, row.id)
        .subquery()
    )
    pairs = await session.execute(
        select(numbered.c.user_id, numbered.c.group_id)
        .where(numbered.c.number <= LIST_CAP)
        .order_by(numbered.c.user_id, numbered.c.number)
    )
    wanted: dict[UUID, list[UUID]] = {}
    for user_id, group_id in pairs:
        wanted.setdefault(user_id, []).append(group_id)
    ids = list({group_id for group_ids in wanted.values() for group_id in group_ids})
    found = await ById(Group)(session, tenant_id, ids)
    return {
        user_id: [cast("Group", found[group_id]) for group_id in group_ids]
        for user_id, group_ids in wanted.items()
    }
