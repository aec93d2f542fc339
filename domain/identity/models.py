"""Who is whom: links from what a provider calls somebody to who is stored, and merged people."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, TenantRow, tenant_key, text_enum
from domain.roster.models import Origin
from domain.roster.records import RecordType


class IdentityLink(TenantRow, Base):
    """A stored record that a run gave another source id, with what it was before.

    `reason` is that of the staging table `links`. Ended by an unlink or a revert.
    """

    __tablename__ = "identity_links"
    __table_args__ = (Index("ix_identity_links_record", "tenant_id", "record_id"),)

    record_type: Mapped[RecordType] = mapped_column(text_enum(RecordType, "record_type"))
    record_id: Mapped[UUID]
    source_id: Mapped[str]
    former_source_id: Mapped[str | None]
    former_origin: Mapped[Origin] = mapped_column(text_enum(Origin, "former_origin"))
    former_archived_at: Mapped[datetime | None]
    reason: Mapped[str]
    run_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None]


class PeopleMerge(TenantRow, Base):
    """Two people who are one. `undo` is what the merge changed, as it was."""

    __tablename__ = "people_merges"
    __table_args__ = (
        tenant_key("kept_id", table="users"),
        tenant_key("merged_id", table="users"),
    )

    kept_id: Mapped[UUID]
    merged_id: Mapped[UUID]
    undo: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[str | None]
