"""The audit log: one row for each administrative act, in the act's own transaction."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import new_id
from domain.people.callers import Caller
from domain.people.models import AuditEntry


def record_act(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    caller: Caller,
    action: str,
    target: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """`details` hold ids and settings; never a name of a person, an address or a secret."""
    session.add(
        AuditEntry(
            id=new_id(),
            tenant_id=tenant_id,
            actor=caller.actor,
            action=action,
            target=target,
            details=dict(details or {}),
        )
    )
