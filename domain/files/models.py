"""Files that come in and go out by one-time tickets, known by the hash of their token."""

from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, TenantRow


class Upload(TenantRow, Base):
    """A place for one file. `content` is None until it has come, and again once it is used."""

    __tablename__ = "uploads"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    purpose: Mapped[str]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime]
    received_at: Mapped[datetime | None]
    content: Mapped[bytes | None] = mapped_column(LargeBinary)


class Export(TenantRow, Base):
    """A download that may be fetched once. `choice` says which rows: {run_id} or a filter.

    `reach` is how far the asker saw; None: all of the tenant.
    """

    __tablename__ = "exports"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    kind: Mapped[str]
    choice: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    reach: Mapped[dict[str, Any] | None]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
