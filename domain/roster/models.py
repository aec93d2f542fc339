"""What is stored of a roster. Rows are archived, never erased; see `Rostered`."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Computed, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, TenantRow, tenant_key, text_enum
from domain.roster.records import MembershipRole, RecordType


class Origin(StrEnum):
    """Where a row comes from. Only PROVIDER rows are touched by a sync."""

    LEGACY = "LEGACY"
    PROVIDER = "PROVIDER"
    IMPORT = "IMPORT"


class Rostered(TenantRow):
    """`content_hash` is PostgreSQL's hash of the provider's fields: equal hash, nothing to do.

    Only what a provider shares has a source id, and none is there twice. The run ids carry no
    foreign key: a run's log may be purged before the people that it made.
    """

    origin: Mapped[Origin] = mapped_column(text_enum(Origin, "origin"))
    source_id: Mapped[str | None]
    content_hash: Mapped[int | None] = mapped_column(BigInteger)
    created_by_run_id: Mapped[UUID | None]
    archived_at: Mapped[datetime | None]
    archived_by_run_id: Mapped[UUID | None]


def from_provider() -> CheckConstraint:
    return CheckConstraint("origin = 'PROVIDER' OR source_id IS NULL", name="source_id")


class School(Rostered, Base):
    __tablename__ = "schools"
    __table_args__ = (UniqueConstraint("tenant_id", "source_id"), from_provider())

    name: Mapped[str]
    display_name: Mapped[str | None]
    number: Mapped[str | None]
    parent_source_id: Mapped[str | None]
    keys: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))


class Term(Rostered, Base):
    """`ends_on` is the first day after the term."""

    __tablename__ = "terms"
    __table_args__ = (UniqueConstraint("tenant_id", "source_id"), from_provider())

    name: Mapped[str]
    kind: Mapped[str]
    starts_on: Mapped[date | None]
    ends_on: Mapped[date | None]
    parent_source_id: Mapped[str | None]


class Course(Rostered, Base):
    __tablename__ = "courses"
    __table_args__ = (UniqueConstraint("tenant_id", "source_id"), from_provider())

    name: Mapped[str]
    code: Mapped[str | None]
    subjects: Mapped[list[str]]


class Group(Rostered, Base):
    """`starts_on` and `ends_on` span the group's terms."""

    __tablename__ = "groups"
    __table_args__ = (
        UniqueConstraint("tenant_id", "source_id"),
        from_provider(),
        tenant_key("school_id", table="schools"),
        tenant_key("course_id", table="courses"),
        Index("ix_groups_school", "tenant_id", "school_id"),
    )

    # That the tenant exists follows from the school; a check for each row would say it again.
    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-2)
    school_id: Mapped[UUID]
    course_id: Mapped[UUID | None]
    name: Mapped[str]
    term_source_ids: Mapped[list[str]]
    starts_on: Mapped[date | None]
    ends_on: Mapped[date | None]
    code: Mapped[str | None]
    kind: Mapped[str | None]
    period: Mapped[str | None]
    grades: Mapped[list[str]]
    subjects: Mapped[list[str]]
    keys: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))


class User(Rostered, Base):
    """`username_key` makes a username unique among live people, whatever its case.

    The constraint is checked at commit, so that two people may swap their usernames. Who is not
    eligible takes no licence and cannot sign in (product.md P9).
    """

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("tenant_id", "source_id"),
        from_provider(),
        UniqueConstraint("tenant_id", "username_key", deferrable=True, initially="DEFERRED"),
        tenant_key("merged_into_id", table="users"),
        # Every night asks whether anybody is left from before rostering.
        Index("ix_users_legacy", "tenant_id", postgresql_where=text("origin = 'LEGACY'")),
        # So does who was archived so long ago that they are to be erased.
        Index("ix_users_archived", "archived_at", postgresql_where=text("archived_at IS NOT NULL")),
    )

    username: Mapped[str | None]
    username_key: Mapped[str | None] = mapped_column(
        Computed(
            'CASE WHEN archived_at IS NULL THEN casefold(username COLLATE "pg_unicode_fast") END',
            persisted=True,
        )
    )
    given_name: Mapped[str]
    family_name: Mapped[str]
    preferred_given_name: Mapped[str | None]
    preferred_family_name: Mapped[str | None]
    email: Mapped[str | None]
    number: Mapped[str | None]
    roles: Mapped[list[str]]
    grades: Mapped[list[str]]
    is_enabled: Mapped[bool]
    keys: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    is_eligible: Mapped[bool] = mapped_column(server_default=text("true"))
    merged_into_id: Mapped[UUID | None]


class SchoolAffiliation(Base):
    """A user's schools; the primary one is the first that the provider names."""

    __tablename__ = "school_affiliations"
    __table_args__ = (
        tenant_key("user_id", table="users"),
        tenant_key("school_id", table="schools"),
        Index("ix_school_affiliations_school", "tenant_id", "school_id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int]


class Membership(Base):
    """A user in a group with a role.

    `content_hash` combines the hashes of its spans, each with user, group and role, so that the
    unchanged memberships of a group are known without a lookup.
    """

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", "group_id", "role"),
        tenant_key("user_id", table="users"),
        tenant_key("group_id", table="groups"),
        Index("ix_memberships_group", "tenant_id", "group_id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    user_id: Mapped[UUID]
    group_id: Mapped[UUID]
    role: Mapped[MembershipRole] = mapped_column(text_enum(MembershipRole, "role"))
    origin: Mapped[Origin] = mapped_column(text_enum(Origin, "origin"))
    content_hash: Mapped[int | None] = mapped_column(BigInteger)
    created_by_run_id: Mapped[UUID | None]
    archived_at: Mapped[datetime | None]
    archived_by_run_id: Mapped[UUID | None]


class MembershipSpan(Base):
    """One enrollment of a membership, by the provider's id. `ends_on` is exclusive."""

    __tablename__ = "membership_spans"
    __table_args__ = (tenant_key("membership_id", table="memberships"),)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    membership_id: Mapped[UUID] = mapped_column(primary_key=True)
    source_id: Mapped[str] = mapped_column(primary_key=True)
    begins_on: Mapped[date | None]
    ends_on: Mapped[date | None]
    is_primary: Mapped[bool]


class ExternalKey(TenantRow, Base):
    """What a record was or is known by elsewhere; used to match after a switch of provider."""

    __tablename__ = "external_keys"
    __table_args__ = (
        UniqueConstraint("tenant_id", "record_type", "record_id", "kind", "value"),
        Index("ix_external_keys_value", "tenant_id", "record_type", "kind", "value"),
    )

    record_type: Mapped[RecordType] = mapped_column(text_enum(RecordType, "record_type"))
    record_id: Mapped[UUID]
    kind: Mapped[str]
    value: Mapped[str]


class MatchCandidate(TenantRow, Base):
    """A record of the provider that fits several stored ones: an administrator decides."""

    __tablename__ = "match_candidates"
    __table_args__ = (UniqueConstraint("tenant_id", "record_type", "source_id"),)

    record_type: Mapped[RecordType] = mapped_column(text_enum(RecordType, "record_type"))
    source_id: Mapped[str]
    candidate_ids: Mapped[list[str]]
    reason: Mapped[str]
    resolution: Mapped[str | None]
    resolved_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
