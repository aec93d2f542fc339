"""Errands: what an administrator asks for at once and only a worker may do.

The API may not write the roster (docs/decisions/0004). It leaves an errand and waits a moment for
what comes of it.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, TenantRow, text_enum


class ErrandKind(StrEnum):
    LEGACY_IMPORT = "LEGACY_IMPORT"
    PEOPLE_MERGE = "PEOPLE_MERGE"
    PEOPLE_MERGE_UNDO = "PEOPLE_MERGE_UNDO"
    IDENTITY_UNLINK = "IDENTITY_UNLINK"
    SETTINGS_BULK = "SETTINGS_BULK"
    PEOPLE_IMPORT = "PEOPLE_IMPORT"
    ROSTER_EDIT = "ROSTER_EDIT"


class ErrandState(StrEnum):
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    REFUSED = "REFUSED"


class Errand(TenantRow, Base):
    """`asked` is the input, `result` the answer once it is DONE.

    A REFUSED one says why: `refused_code` is INVALID, CONFLICT, NOT_FOUND or PROVIDER_MANAGED, of
    which `result` names the provider. `started_at` moves on while a worker is at it, so that a
    dead worker's errand is known. `progress` is {done, total} of one that takes long.
    `reach` is how far the asker saw; None: all of the tenant.
    """

    __tablename__ = "errands"
    __table_args__ = (
        Index("ix_errands_waiting", "requested_at", postgresql_where=text("finished_at IS NULL")),
    )

    kind: Mapped[str]
    asked: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    state: Mapped[ErrandState] = mapped_column(text_enum(ErrandState, "state"))
    requested_by: Mapped[str]
    requested_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None]
    refused_code: Mapped[str | None]
    refused_field: Mapped[str | None]
    message: Mapped[str | None]
    progress: Mapped[dict[str, Any] | None]
    reach: Mapped[dict[str, Any] | None]
