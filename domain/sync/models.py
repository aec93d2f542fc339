"""Runs, their leases, the changes that they planned, and holds."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, TenantRow, tenant_key, text_enum
from domain.roster.records import RecordType


class SyncMode(StrEnum):
    FULL = "FULL"
    DELTA = "DELTA"
    PREFLIGHT = "PREFLIGHT"
    REVALIDATION = "REVALIDATION"
    SINGLE_USER = "SINGLE_USER"
    REVERT = "REVERT"


PICKED_MODES = frozenset({SyncMode.SINGLE_USER, SyncMode.REVALIDATION})
"""These read records that are named, and nothing else."""


class SyncTrigger(StrEnum):
    SCHEDULE = "SCHEDULE"
    MANUAL = "MANUAL"


class SyncRunState(StrEnum):
    QUEUED = "QUEUED"
    FETCHING = "FETCHING"
    VALIDATING = "VALIDATING"
    PLANNING = "PLANNING"
    APPLYING = "APPLYING"
    SUMMARISING = "SUMMARISING"
    SUCCEEDED = "SUCCEEDED"
    SUCCEEDED_WITH_ERRORS = "SUCCEEDED_WITH_ERRORS"
    SUCCEEDED_WITH_HOLD = "SUCCEEDED_WITH_HOLD"
    HELD = "HELD"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class ToldAs(StrEnum):
    """As what the contacts are told of a run's end; see domain.watch.judging."""

    NONE = "NONE"
    SUMMARY = "SUMMARY"
    NEW_ERRORS = "NEW_ERRORS"
    HOLD = "HOLD"
    FAILURE = "FAILURE"
    OFF = "OFF"
    RECOVERED = "RECOVERED"


ACTIVE = (
    SyncRunState.FETCHING,
    SyncRunState.VALIDATING,
    SyncRunState.PLANNING,
    SyncRunState.APPLYING,
    SyncRunState.SUMMARISING,
)
SUCCESSFUL = (
    SyncRunState.SUCCEEDED,
    SyncRunState.SUCCEEDED_WITH_ERRORS,
    SyncRunState.SUCCEEDED_WITH_HOLD,
)
_ACTIVE_SQL = ", ".join(f"'{state}'" for state in ACTIVE)


class ChangeAction(StrEnum):
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    ARCHIVE = "ARCHIVE"
    RESTORE = "RESTORE"


class SyncRun(TenantRow, Base):
    """One attempt to make what is stored equal what the provider shares.

    `counts` is {record type: {fetched, created, …: n}}; `phases` is {state: {started_at,
    seconds}}; `progress` is {read, expected, rate, at, usual: {phase: seconds}}, see
    domain.sync.progress; `checkpoint` is where a fetch can go on.
    `expected` records come from the tenant's last run; `size_class` is the number of digits of
    what it will read, 0 where nobody knows, so that small runs need not wait for large ones.
    `sharing_rules` are those of a preview, {subject: values}; None: those that are saved.
    `left_out` is what the rules left out: [{subject, record_type, count}].

    `approves_run_id` is the run whose held records this one may change as they were shown;
    `reverts_run_id` the one that it undoes. `target` is what a SINGLE_USER or REVALIDATION run
    asks for, and the rollover that a preflight judges by; `steps` what a SINGLE_USER run found:
    [{name, outcome, message}]. `report` are a preflight's numbers, and `basis` the digest of the
    rules that it was made with; see domain.sync.approvals. `told_at` is when the end of a FULL or
    DELTA run was judged, with mails and the next try: see domain.watch.following.
    """

    __tablename__ = "sync_runs"
    __table_args__ = (
        tenant_key("integration_id", table="integrations"),
        Index(
            "uq_sync_runs_active",
            "tenant_id",
            unique=True,
            postgresql_where=text(f"state IN ({_ACTIVE_SQL})"),
        ),
        Index(
            "uq_sync_runs_queued",
            "tenant_id",
            unique=True,
            postgresql_where=text("state = 'QUEUED'"),
        ),
        Index(
            "ix_sync_runs_unfinished",
            "requested_at",
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index(
            "ix_sync_runs_untold",
            "tenant_id",
            postgresql_where=text(
                "told_at IS NULL AND finished_at IS NOT NULL AND mode IN ('FULL', 'DELTA')"
            ),
        ),
    )

    integration_id: Mapped[UUID]
    mode: Mapped[SyncMode] = mapped_column(text_enum(SyncMode, "mode"))
    trigger: Mapped[SyncTrigger] = mapped_column(text_enum(SyncTrigger, "trigger"))
    state: Mapped[SyncRunState] = mapped_column(text_enum(SyncRunState, "state"))
    requested_by: Mapped[str]
    requested_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    size_class: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    counts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    phases: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    progress: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    checkpoint: Mapped[dict[str, Any] | None]
    sharing_rules: Mapped[dict[str, Any] | None]
    left_out: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    approves_run_id: Mapped[UUID | None]
    reverts_run_id: Mapped[UUID | None]
    target: Mapped[dict[str, Any] | None]
    steps: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    report: Mapped[dict[str, Any] | None]
    basis: Mapped[str | None]
    cancel_requested_at: Mapped[datetime | None]
    cancelled_by: Mapped[str | None]
    failure_code: Mapped[str | None]
    failure_message: Mapped[str | None]
    told_at: Mapped[datetime | None]
    told_as: Mapped[ToldAs | None] = mapped_column(text_enum(ToldAs, "told_as"))


class SyncLease(Base):
    """Who works on a run. A takeover raises the token; the old holder's apply then fails."""

    __tablename__ = "sync_leases"
    __table_args__ = (tenant_key("run_id", table="sync_runs"),)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    token: Mapped[int] = mapped_column(BigInteger)
    heartbeat_at: Mapped[datetime]
    backend_pid: Mapped[int | None]


class SyncChange(Base):
    """A planned update, archive or restore with old and new values of the fields that differ.

    Creates that are applied need no row: `created_by_run_id` of the record says it. Those of a
    preflight and those that wait have one, with a name to show. `held_by` is the code of the
    reason why a change waits; None: it was applied, or would be. Partitioned by month.
    """

    __tablename__ = "sync_changes"
    __table_args__ = (
        tenant_key("run_id", table="sync_runs"),
        Index("ix_sync_changes_run", "tenant_id", "run_id", "id"),
        Index("ix_sync_changes_record", "tenant_id", "record_id"),
        {"postgresql_partition_by": "RANGE (created_at)"},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    created_at: Mapped[datetime] = mapped_column(primary_key=True, server_default=text("now()"))
    run_id: Mapped[UUID]
    record_type: Mapped[RecordType] = mapped_column(text_enum(RecordType, "record_type"))
    record_id: Mapped[UUID]
    source_id: Mapped[str | None]
    action: Mapped[ChangeAction] = mapped_column(text_enum(ChangeAction, "action"))
    planned_hash: Mapped[int | None] = mapped_column(BigInteger)
    old_values: Mapped[dict[str, Any]]
    new_values: Mapped[dict[str, Any]]
    held_by: Mapped[str | None]


class Hold(TenantRow, Base):
    """A plan that waits, or the part of it that does.

    `reasons` are [{code, record_type, count, of, value, school_id}]. `told` are the contacts to
    whom a notice went.
    """

    __tablename__ = "holds"
    __table_args__ = (
        tenant_key("run_id", table="sync_runs"),
        UniqueConstraint("tenant_id", "run_id"),
    )

    run_id: Mapped[UUID]
    reasons: Mapped[list[Any]] = mapped_column(JSONB)
    told: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None]


class PreflightItem(TenantRow, Base):
    """One line of a list behind a number of a preflight's report.

    `topic` is the question that it belongs to and `outcome` the answer for this record.
    """

    __tablename__ = "preflight_items"
    __table_args__ = (
        tenant_key("run_id", table="sync_runs"),
        Index("ix_preflight_items_run", "tenant_id", "run_id", "topic", "id"),
    )

    run_id: Mapped[UUID]
    topic: Mapped[str]
    outcome: Mapped[str]
    record_type: Mapped[RecordType] = mapped_column(text_enum(RecordType, "record_type"))
    record_id: Mapped[UUID | None]
    source_id: Mapped[str | None]
    name: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
