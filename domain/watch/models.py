"""Providers' outages: many tenants at once, and so none of them at fault."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, text_enum
from domain.roster.source import Provider


class ProviderOutage(Base):
    """From the first of the failures until syncs succeed again. `tenants`: how many it met then."""

    __tablename__ = "provider_outages"
    __table_args__ = (
        Index(
            "uq_provider_outages_open",
            "provider",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    provider: Mapped[Provider] = mapped_column(text_enum(Provider, "provider"))
    tenants: Mapped[int]
    began_at: Mapped[datetime]
    noticed_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
