"""A tenant's link to its provider, with credentials, rules, limits and schedule."""

from datetime import date, datetime, time
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, TenantRow, tenant_key, text_enum
from domain.roster.records import RecordType
from domain.roster.source import Provider


class IntegrationStatus(StrEnum):
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    DISCONNECTED = "DISCONNECTED"


class ExistingAccounts(StrEnum):
    """What becomes of people who were there before rostering (product.md T5)."""

    REPLACE = "REPLACE"
    MATCH_USERNAME = "MATCH_USERNAME"
    MATCH_KEYS = "MATCH_KEYS"


class OnDemand(StrEnum):
    """Who may ask for syncs beside the schedule (product.md S2); operators always may."""

    NOBODY = "NOBODY"
    SUPPORT = "SUPPORT"
    ADMINISTRATORS = "ADMINISTRATORS"


class Integration(TenantRow, Base):
    """`settings` are what may be shown (path, base URL, version); secrets lie sealed beside it.

    At most one integration of a tenant is not disconnected. Groups are shown from
    `group_lead_days` days before their first term starts. `eligibility` is {field, values}: the
    metadata field that says who may use the product; None: everybody may. `cursors` is {record
    type: latest time of change}, where a delta begins. `sharing_preview_run_id` is the preview
    whose archives were seen and accepted when the sharing rules were saved.

    `existing_accounts` None: not chosen yet. `match_keys` are what MATCH_KEYS compares, in their
    order. `expectations` are {schools, groups}: what the district says that it shares.
    `approved_run_id` is the preflight (or held run) whose records the first sync may take over,
    as long as `approved_basis` is what the rules amount to. `rostered_at` is when a run of this
    provider was applied first; `former_provider` is the one before a switch.
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
    with_student_email: Mapped[bool] = mapped_column(server_default=text("false"))
    eligibility: Mapped[dict[str, Any] | None]
    cursors: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    sharing_preview_run_id: Mapped[UUID | None]
    existing_accounts: Mapped[ExistingAccounts | None] = mapped_column(
        text_enum(ExistingAccounts, "existing_accounts")
    )
    match_keys: Mapped[list[str]] = mapped_column(server_default=text("'{number,email}'"))
    holds_everything: Mapped[bool] = mapped_column(server_default=text("false"))
    email_domains: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    expectations: Mapped[dict[str, Any] | None]
    approved_run_id: Mapped[UUID | None]
    approved_at: Mapped[datetime | None]
    approved_by: Mapped[str | None]
    approved_basis: Mapped[str | None]
    rostered_at: Mapped[datetime | None]
    former_provider: Mapped[Provider | None] = mapped_column(text_enum(Provider, "former_provider"))
    on_demand: Mapped[OnDemand] = mapped_column(
        text_enum(OnDemand, "on_demand"), server_default="ADMINISTRATORS"
    )
    cooldown_minutes: Mapped[int] = mapped_column(SmallInteger, server_default=text("10"))
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


class SharingSubject(StrEnum):
    """What a sharing rule speaks of."""

    SCHOOL = "SCHOOL"
    GRADE = "GRADE"
    COURSE = "COURSE"
    SUBJECT = "SUBJECT"
    TERM = "TERM"


class SharingRule(TenantRow, Base):
    """Only what has one of the `values` is taken over. At most one rule for each subject."""

    __tablename__ = "sharing_rules"
    __table_args__ = (
        tenant_key("integration_id", table="integrations"),
        UniqueConstraint("tenant_id", "integration_id", "subject"),
    )

    integration_id: Mapped[UUID]
    subject: Mapped[SharingSubject] = mapped_column(text_enum(SharingSubject, "subject"))
    values: Mapped[list[str]]


class CheckState(StrEnum):
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"


class IntegrationCheck(TenantRow, Base):
    """A connection to be tried by a worker: the API neither reads secrets nor calls providers.

    `steps` are [{name, is_ok, message, advice}] once it is done.
    """

    __tablename__ = "integration_checks"
    __table_args__ = (
        tenant_key("integration_id", table="integrations"),
        Index(
            "ix_integration_checks_waiting",
            "requested_at",
            postgresql_where=text("state = 'WAITING'"),
        ),
    )

    integration_id: Mapped[UUID]
    state: Mapped[CheckState] = mapped_column(text_enum(CheckState, "state"))
    requested_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    finished_at: Mapped[datetime | None]
    steps: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))


class OnboardingRequest(Base):
    """A district that shares with this product at a provider, as the provider's own list says.

    It belongs to no tenant until one is connected to it. `external_id` is Clever's district id or
    ClassLink's tenant id.
    """

    __tablename__ = "onboarding_requests"
    __table_args__ = (UniqueConstraint("provider", "external_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    provider: Mapped[Provider] = mapped_column(text_enum(Provider, "provider"))
    external_id: Mapped[str]
    name: Mapped[str]
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    is_shared: Mapped[bool]


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
    """Every `every_days` days at `local_time`, in its own time zone or else the tenant's.

    Nights of tenants are spread over `spread_minutes`. `next_due_at` is the next instant at which
    a run is requested; None while nothing is due.
    """

    __tablename__ = "sync_schedules"
    __table_args__ = (
        tenant_key("integration_id", table="integrations"),
        CheckConstraint("every_days BETWEEN 1 AND 29", name="every_days"),
        CheckConstraint("spread_minutes BETWEEN 0 AND 240", name="spread_minutes"),
        Index("ix_sync_schedules_next_due_at", "next_due_at"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    integration_id: Mapped[UUID] = mapped_column(primary_key=True)
    local_time: Mapped[time]
    every_days: Mapped[int]
    first_on: Mapped[date]
    next_due_at: Mapped[datetime | None]
    time_zone: Mapped[str | None]
    spread_minutes: Mapped[int] = mapped_column(SmallInteger, server_default=text("30"))


class SyncBlackout(TenantRow, Base):
    """Local days, both included, on which no run starts by schedule; contacts hear of it before."""

    __tablename__ = "sync_blackouts"
    __table_args__ = (
        tenant_key("integration_id", table="integrations"),
        CheckConstraint("starts_on <= ends_on", name="days"),
    )

    integration_id: Mapped[UUID]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    reason: Mapped[str]
    told_at: Mapped[datetime | None]
