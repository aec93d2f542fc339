"""What the training product owns: no sync ever writes here."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Numeric,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, TenantRow, tenant_key, text_enum


class AgeGroup(StrEnum):
    """For whom a group's exercises are made."""

    EARLY = "EARLY"
    ELEMENTARY = "ELEMENTARY"
    MIDDLE = "MIDDLE"
    HIGH = "HIGH"
    ADULT = "ADULT"


class TrainingSettings(TenantRow, Base):
    """One level's settings: of the tenant (no owner), a school, a group or a user.

    Speed in words per minute, accuracy in percent. None means: as the next level says. `version`
    counts the changes, so that two administrators do not undo each other's unseen.
    """

    __tablename__ = "training_settings"
    __table_args__ = (
        tenant_key("school_id", table="schools"),
        tenant_key("group_id", table="groups"),
        tenant_key("user_id", table="users"),
        UniqueConstraint(
            "tenant_id", "school_id", "group_id", "user_id", postgresql_nulls_not_distinct=True
        ),
        CheckConstraint("num_nonnulls(school_id, group_id, user_id) <= 1", name="level"),
        CheckConstraint("speed_target BETWEEN 1 AND 250", name="speed_target"),
        CheckConstraint("accuracy_target BETWEEN 0 AND 100", name="accuracy_target"),
        CheckConstraint("age_group IS NULL OR group_id IS NOT NULL", name="age_group_level"),
    )

    school_id: Mapped[UUID | None]
    group_id: Mapped[UUID | None]
    user_id: Mapped[UUID | None]
    speed_target: Mapped[int | None]
    accuracy_target: Mapped[int | None]
    keyboard_layout: Mapped[str | None]
    has_avatars: Mapped[bool | None]
    age_group: Mapped[AgeGroup | None] = mapped_column(text_enum(AgeGroup, "age_group"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    updated_by: Mapped[str | None]


class DefaultPlace(Base):
    """The group and the school that somebody chose to land in; see domain.training.places.

    A choice stays when its membership ends, and counts again when that comes back.
    """

    __tablename__ = "default_places"
    __table_args__ = (
        tenant_key("user_id", table="users"),
        tenant_key("group_id", table="groups"),
        tenant_key("school_id", table="schools"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    group_id: Mapped[UUID | None]
    group_set_at: Mapped[datetime | None]
    group_set_by: Mapped[str | None]
    school_id: Mapped[UUID | None]
    school_set_at: Mapped[datetime | None]
    school_set_by: Mapped[str | None]


class EligibilityOverride(Base):
    """Who may use the product, said here: it wins over what the provider says (product.md P9)."""

    __tablename__ = "eligibility_overrides"
    __table_args__ = (tenant_key("user_id", table="users"),)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    is_eligible: Mapped[bool]
    set_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    set_by: Mapped[str]


class Progress(Base):
    """What a student has earned in a group in a school year; kept when the membership is archived.

    `school_year` is the year in which it began (domain.training.years). Speed in words per minute,
    accuracy in percent; an average is a total by its count. What is `copied_` is how much of
    each is a copy of what counts in another group.
    """

    __tablename__ = "progress"
    __table_args__ = (
        tenant_key("user_id", table="users"),
        tenant_key("group_id", table="groups"),
        Index("ix_progress_group", "tenant_id", "group_id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    group_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_year: Mapped[int] = mapped_column(primary_key=True)
    lessons: Mapped[int] = mapped_column(server_default=text("0"))
    seconds: Mapped[int] = mapped_column(server_default=text("0"))
    best_speed: Mapped[Decimal | None] = mapped_column(Numeric(6, 2))
    speed_total: Mapped[Decimal] = mapped_column(Numeric(14, 2), server_default=text("0"))
    speed_count: Mapped[int] = mapped_column(server_default=text("0"))
    best_accuracy: Mapped[Decimal | None] = mapped_column(Numeric(5, 2))
    accuracy_total: Mapped[Decimal] = mapped_column(Numeric(14, 2), server_default=text("0"))
    accuracy_count: Mapped[int] = mapped_column(server_default=text("0"))
    copied_lessons: Mapped[int] = mapped_column(server_default=text("0"))
    copied_seconds: Mapped[int] = mapped_column(server_default=text("0"))
    copied_speed_total: Mapped[Decimal] = mapped_column(Numeric(14, 2), server_default=text("0"))
    copied_speed_count: Mapped[int] = mapped_column(server_default=text("0"))
    copied_accuracy_total: Mapped[Decimal] = mapped_column(Numeric(14, 2), server_default=text("0"))
    copied_accuracy_count: Mapped[int] = mapped_column(server_default=text("0"))
    last_active_at: Mapped[datetime | None]


class ProgressEvent(Base):
    """A result that was counted: known by the training application's own id, so counted once."""

    __tablename__ = "progress_events"
    __table_args__ = (Index("ix_progress_events_occurred_at", "occurred_at"),)

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)
    occurred_at: Mapped[datetime]


class CarryMode(StrEnum):
    """What becomes of progress in the group that a student has left."""

    COPY = "COPY"
    MOVE = "MOVE"


class ProgressCarry(TenantRow, Base):
    """Progress that was carried to another group. `carried` is what there was, for the undo."""

    __tablename__ = "progress_carries"
    __table_args__ = (
        tenant_key("user_id", table="users"),
        tenant_key("from_group_id", table="groups"),
        tenant_key("to_group_id", table="groups"),
        CheckConstraint("from_group_id <> to_group_id", name="groups"),
        Index("ix_progress_carries_user", "tenant_id", "user_id"),
    )

    user_id: Mapped[UUID]
    from_group_id: Mapped[UUID]
    to_group_id: Mapped[UUID]
    mode: Mapped[CarryMode] = mapped_column(text_enum(CarryMode, "mode"))
    carried: Mapped[list[Any] | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    created_by: Mapped[str]
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[str | None]


class TrainingVersion(Base):
    """Counts the changes of settings, default places and eligibility; a trigger does so."""

    __tablename__ = "training_versions"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)


class YearRollover(TenantRow, Base):
    """The declared first day of a school year, and what a run may do unasked around it.

    From `days_before` that day to `days_after` it the percentages take the place of the usual
    hold limits, where they are wider.
    """

    __tablename__ = "year_rollovers"
    __table_args__ = (
        Index(
            "uq_year_rollovers_day",
            "tenant_id",
            "rolls_on",
            unique=True,
            postgresql_where=text("cancelled_at IS NULL"),
        ),
        CheckConstraint("days_before BETWEEN 0 AND 90", name="days_before"),
        CheckConstraint("days_after BETWEEN 0 AND 90", name="days_after"),
        CheckConstraint("archive_percent BETWEEN 0 AND 100", name="archive_percent"),
        CheckConstraint("update_percent BETWEEN 0 AND 100", name="update_percent"),
    )

    rolls_on: Mapped[date]
    days_before: Mapped[int]
    days_after: Mapped[int]
    archive_percent: Mapped[int]
    update_percent: Mapped[int]
    declared_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    declared_by: Mapped[str]
    cancelled_at: Mapped[datetime | None]
    cancelled_by: Mapped[str | None]
