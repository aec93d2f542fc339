"""Stored problems of records: opened by a run, resolved by a later one."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, TenantRow, text_enum
from domain.validation.codes import Severity


class ErrorState(StrEnum):
    OPEN = "OPEN"
    ACCEPTED = "ACCEPTED"
    RESOLVED = "RESOLVED"


class ValidationError(TenantRow, Base):
    """`fingerprint` tells the same problem in later runs: code, record, field and value.

    `cause` groups errors that one correction mends: all enrollments of one missing class have
    the cause "GROUP <its source id>". `record` is the mapped source record; of a problem that
    stands for several records, how many they are and some of their ids: {concerned, examples}.
    Who has accepted it is known until it is opened again.
    """

    __tablename__ = "validation_errors"
    __table_args__ = (
        UniqueConstraint("tenant_id", "fingerprint"),
        Index("ix_validation_errors_state", "tenant_id", "state", "id"),
        Index("ix_validation_errors_run", "tenant_id", "last_seen_run_id"),
    )

    fingerprint: Mapped[UUID]
    state: Mapped[ErrorState] = mapped_column(text_enum(ErrorState, "state"))
    code: Mapped[str]
    severity: Mapped[Severity] = mapped_column(text_enum(Severity, "severity"))
    record_type: Mapped[str]
    source_id: Mapped[str | None]
    field: Mapped[str | None]
    expected: Mapped[str | None]
    found: Mapped[str | None]
    place: Mapped[str | None]
    cause: Mapped[str]
    record: Mapped[dict[str, Any] | None]
    first_seen_run_id: Mapped[UUID]
    first_seen_at: Mapped[datetime]
    last_seen_run_id: Mapped[UUID]
    last_seen_at: Mapped[datetime]
    runs: Mapped[int]
    resolved_at: Mapped[datetime | None]
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[str | None]
    accepted_note: Mapped[str | None]
