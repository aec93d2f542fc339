"""Who signs in and with what, the credentials of machines and browsers, and the audit log."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base, TenantRow, tenant_key, text_enum


class OperatorRole(StrEnum):
    OPERATOR = "OPERATOR"
    SUPPORT = "SUPPORT"


class Operator(Base):
    """A person on the product's own side. Support reads and starts syncs; operators do all."""

    __tablename__ = "operators"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)
    role: Mapped[OperatorRole] = mapped_column(text_enum(OperatorRole, "role"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    disabled_at: Mapped[datetime | None]


class ApiToken(Base):
    """A machine's credential, known by its hash. Without a tenant it is an operator's.

    It is never worth more than who made it: with `created_by_user_id`, only as long as that
    person is a district admin; with `operator_id`, as much as that operator is.
    """

    __tablename__ = "api_tokens"
    __table_args__ = (tenant_key("created_by_user_id", table="users"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    created_by: Mapped[str | None]
    created_by_user_id: Mapped[UUID | None]
    operator_id: Mapped[UUID | None] = mapped_column(ForeignKey("operators.id"))
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Account(TenantRow, Base):
    """Who signs in with a password: a super admin, or (with `user_id`) an imported person.

    A super admin has a name and an address here and signs in with the address; everybody else
    with the username. The hash and the sealed secret of the second factor are not for the API's
    role to select. `totp_step` is the last step that was used: none is good twice.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        tenant_key("user_id", table="users"),
        UniqueConstraint("tenant_id", "user_id"),
        CheckConstraint(
            "(user_id IS NULL) = (email IS NOT NULL) AND (user_id IS NULL) = (name IS NOT NULL)",
            name="person",
        ),
        Index("uq_accounts_email", "tenant_id", text("lower(email)"), unique=True),
    )

    user_id: Mapped[UUID | None]
    name: Mapped[str | None]
    email: Mapped[str | None]
    password_hash: Mapped[str | None] = mapped_column(deferred=True)
    password_changed_at: Mapped[datetime | None]
    totp_sealed: Mapped[bytes | None] = mapped_column(deferred=True)
    totp_step: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    created_by: Mapped[str]
    disabled_at: Mapped[datetime | None]


class LinkKind(StrEnum):
    INVITATION = "INVITATION"
    RESET = "RESET"


class AccountLink(TenantRow, Base):
    """A link in a mail that sets a password once."""

    __tablename__ = "account_links"
    __table_args__ = (tenant_key("account_id", table="accounts", ondelete="CASCADE"),)

    account_id: Mapped[UUID]
    kind: Mapped[LinkKind] = mapped_column(text_enum(LinkKind, "kind"))
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignInMethodName(StrEnum):
    CLEVER = "CLEVER"
    CLASSLINK = "CLASSLINK"
    GOOGLE = "GOOGLE"
    MICROSOFT = "MICROSOFT"
    PASSWORD = "PASSWORD"  # noqa: S105 - the name of a method


class UsernameComparison(StrEnum):
    """What of a Google or Microsoft address is compared with the username."""

    ADDRESS = "ADDRESS"
    LOCAL_PART = "LOCAL_PART"


class SignInMethod(TenantRow, Base):
    """`keys` are the tenant's ids at the provider.

    Clever's districts, ClassLink's tenants, Google's hosted domains, Microsoft's tenants.
    """

    __tablename__ = "sign_in_methods"
    __table_args__ = (
        UniqueConstraint("tenant_id", "method"),
        Index("ix_sign_in_methods_keys", "keys", postgresql_using="gin"),
    )

    method: Mapped[SignInMethodName] = mapped_column(text_enum(SignInMethodName, "method"))
    is_enabled: Mapped[bool]
    keys: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    compares: Mapped[UsernameComparison | None] = mapped_column(
        text_enum(UsernameComparison, "compares")
    )


class Identity(TenantRow, Base):
    """Who at Google or Microsoft a person is: pinned by the first sign-in that fitted.

    `subject` is Google's sub, or Microsoft's tid and oid with a slash between them.
    """

    __tablename__ = "identities"
    __table_args__ = (
        tenant_key("user_id", table="users"),
        UniqueConstraint("tenant_id", "method", "subject"),
        UniqueConstraint("tenant_id", "method", "user_id"),
    )

    user_id: Mapped[UUID]
    method: Mapped[SignInMethodName] = mapped_column(text_enum(SignInMethodName, "method"))
    subject: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    last_used_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Session(TenantRow, Base):
    """Somebody who has signed in: a person of the roster, or a super admin by their account.

    `expires_at` is the absolute end. `client` says in a few words which browser it is.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        tenant_key("user_id", table="users"),
        tenant_key("account_id", table="accounts"),
        CheckConstraint("num_nonnulls(user_id, account_id) = 1", name="person"),
        Index("ix_sessions_user", "tenant_id", "user_id"),
    )

    user_id: Mapped[UUID | None]
    account_id: Mapped[UUID | None]
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    method: Mapped[SignInMethodName] = mapped_column(text_enum(SignInMethodName, "method"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    client: Mapped[str | None]


class SignInOutcome(StrEnum):
    SIGNED_IN = "SIGNED_IN"
    REFUSED = "REFUSED"


class SignInAttempt(TenantRow, Base):
    """`reason` of a refusal: a domain.people.refusals.RefusalReason. Never what was typed."""

    __tablename__ = "sign_in_attempts"
    __table_args__ = (
        Index("ix_sign_in_attempts_user", "tenant_id", "user_id", "created_at"),
        Index("ix_sign_in_attempts_created", "created_at"),
    )

    user_id: Mapped[UUID | None]
    account_id: Mapped[UUID | None]
    method: Mapped[SignInMethodName] = mapped_column(text_enum(SignInMethodName, "method"))
    outcome: Mapped[SignInOutcome] = mapped_column(text_enum(SignInOutcome, "outcome"))
    reason: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class SigningKey(Base):
    """Signs launch tokens (ES256). The private key is sealed; the public one is a JWK."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[bytes]
    public: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    retired_at: Mapped[datetime | None]


class RemovalKind(StrEnum):
    PURGE = "PURGE"
    PERSON = "PERSON"
    TENANT = "TENANT"


class Removal(Base):
    """What was erased, and how much of it. It outlives the tenant, and names nobody."""

    __tablename__ = "removals"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    tenant_id: Mapped[UUID]
    slug: Mapped[str]
    kind: Mapped[RemovalKind] = mapped_column(text_enum(RemovalKind, "kind"))
    counts: Mapped[dict[str, Any]]
    requested_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class AuditEntry(TenantRow, Base):
    """An administrative act or a sign-in. `details` hold ids and settings, never a name."""

    # Whoever writes into it need not be able to read it, and reading back would be that.
    __mapper_args__ = {"eager_defaults": False}  # noqa: RUF012 - SQLAlchemy's attribute
    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_created", "tenant_id", "created_at"),)

    actor: Mapped[str]
    action: Mapped[str]
    target: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
