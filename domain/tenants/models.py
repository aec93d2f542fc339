"""Tenants and what belongs to a subscription."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, TenantRow, text_enum


class TenantStatus(StrEnum):
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    CLOSED = "CLOSED"


class SubscriptionKind(StrEnum):
    DEMO = "DEMO"
    TRIAL = "TRIAL"
    PAID = "PAID"


class LicenceOrder(StrEnum):
    """Who gets a licence first where there are too few: see domain.sync.licences."""

    CREATED = "CREATED"
    SCHOOL_PRIORITY = "SCHOOL_PRIORITY"


class SummaryMail(StrEnum):
    """Which sync summaries a contact receives."""

    ALWAYS = "ALWAYS"
    ONLY_PROBLEMS = "ONLY_PROBLEMS"
    NEVER = "NEVER"


class Delivery(StrEnum):
    """When a contact is told of syncs."""

    EACH_RUN = "EACH_RUN"
    DAILY = "DAILY"


class Tenant(Base):
    """`is_listed`: whether people who look for their sign-in page are shown it."""

    __tablename__ = "tenants"
    __table_args__ = (
        CheckConstraint("slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'", name="slug"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    display_name: Mapped[str]
    time_zone: Mapped[str]
    status: Mapped[TenantStatus] = mapped_column(text_enum(TenantStatus, "status"))
    is_listed: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Subscription(Base):
    """`licence_limit` None: no limit. Dates are days in the tenant's time zone.

    `licence_school_ids` are the schools whose students come first, in their order.
    """

    __tablename__ = "subscriptions"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    kind: Mapped[SubscriptionKind] = mapped_column(text_enum(SubscriptionKind, "kind"))
    licence_limit: Mapped[int | None]
    starts_on: Mapped[date | None]
    go_live_on: Mapped[date | None]
    licence_order: Mapped[LicenceOrder] = mapped_column(
        text_enum(LicenceOrder, "licence_order"), server_default=text("'CREATED'")
    )
    licence_school_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))


class Contact(TenantRow, Base):
    __tablename__ = "contacts"
    __table_args__ = (UniqueConstraint("tenant_id", "email"),)

    name: Mapped[str]
    email: Mapped[str]
    summary_mail: Mapped[SummaryMail] = mapped_column(text_enum(SummaryMail, "summary_mail"))
    delivery: Mapped[Delivery] = mapped_column(
        text_enum(Delivery, "delivery"), server_default=text("'EACH_RUN'")
    )


class OnboardingStep(TenantRow, Base):
    __tablename__ = "onboarding_steps"
    __table_args__ = (UniqueConstraint("tenant_id", "step"),)

    step: Mapped[str]
    done_at: Mapped[datetime | None]
    done_by: Mapped[str | None]
