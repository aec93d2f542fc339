"""A tenant's link to its provider, with credentials, rules, limits and schedule."""

from datetime import date, datetime, time
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, TenantRow, tenant_key, text_enum
from domain.roster.records import RecordType
from domain.roster.source import Provider


class IntegrationStatus(StrEnum):
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    DISCONNECTED = "DISCONNECTED"


class Integration(TenantRow, Base):
    """`settings` are what may be shown (path, base URL, version); secrets lie sealed beside it.

    At most one integration of a tenant is not disconnected. Groups are shown from
    `group_lead_days` days before their first term starts.
    """

    __tablename__ = "integrations"
    __table_args__ = (
        Index(
            "uq_integrations_connected",
            "tenant_id",
            unique=True,
            postgresql_where=text("status <> 'DISCONNECTED'"),
        ),
    )

    provider: Mapped[Provider] = mapped_column(text_enum(Provider, "provider"))
    status: Mapped[IntegrationStatus] = mapped_column(text_enum(IntegrationStatus, "status"))
    settings: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    group_lead_days: Mapped[int] = mapped_column(server_default=text("14"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class IntegrationCredentials(Base):
    """What opens the provider: JSON, sealed with a key of the settings; see domain.secrets."""

    __tablename__ = "integration_credentials"
    __table_args__ = (tenant_key("integration_id", table="integrations"),)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    integration_id: Mapped[UUID] = mapped_column(primary_key=True)
    sealed: Mapped[bytes]
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class SharingRule(TenantRow, Base):
    __tablename__ = "sharing_rules"
    __table_args__ = (tenant_key("integration_id", table="integrations"),)

    integration_id: Mapped[UUID]
    subject: Mapped[str]
    values: Mapped[list[str]]


class RoleMap(Base):
    """The provider's word for a role and ours; None: people of that role are left out."""

    __tablename__ = "role_maps"
    __table_args__ = (tenant_key("integration_id", table="integrations"),)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    integration_id: Mapped[UUID] = mapped_column(primary_key=True)
    provider_role: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str | None]


class HoldLimit(Base):
    """How many archives and updates of a type a run may make unasked."""

    __tablename__ = "hold_limits"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    record_type: Mapped[RecordType] = mapped_column(
        text_enum(RecordType, "record_type"), primary_key=True
    )
    archive_count: Mapped[int | None]
    archive_percent: Mapped[int | None]
    update_percent: Mapped[int | None]


class Requirement(Base):
    """What the tenant demands beyond the taxonomy (product.md V6)."""

    __tablename__ = "requirements"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    is_enabled: Mapped[bool]


class SyncSchedule(Base):
    """Every `every_days` days at `local_time` in the tenant's time zone.

    `next_due_at` is the next instant at which a run is requested; None while nothing is due.
    """

    __tablename__ = "sync_schedules"
    __table_args__ = (
        tenant_key("integration_id", table="integrations"),
        CheckConstraint("every_days BETWEEN 1 AND 29", name="every_days"),
        Index("ix_sync_schedules_next_due_at", "next_due_at"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    integration_id: Mapped[UUID] = mapped_column(primary_key=True)
    local_time: Mapped[time]
    every_days: Mapped[int]
    first_on: Mapped[date]
    next_due_at: Mapped[datetime | None]
