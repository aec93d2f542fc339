"""The product's own people, credentials of machines and browsers, and the audit log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, TenantRow


class Operator(Base):
    """A person on the product's own side. Support reads and starts syncs; operators do all."""

    __tablename__ = "operators"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class ApiToken(Base):
    """A machine's credential, known by its hash. Without a tenant it is an operator's."""

    __tablename__ = "api_tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Session(TenantRow, Base):
    __tablename__ = "sessions"

    user_id: Mapped[UUID]
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    method: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    last_seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class SignInAttempt(TenantRow, Base):
    __tablename__ = "sign_in_attempts"

    user_id: Mapped[UUID | None]
    method: Mapped[str]
    outcome: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class AuditEntry(TenantRow, Base):
    """An administrative act. `details` hold ids and settings, never a name or a secret."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_created", "tenant_id", "created_at"),)

    actor: Mapped[str]
    action: Mapped[str]
    target: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
