"""Existing accounts (T5): what becomes of people who were there before rostering."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput
from domain.integrations.models import ExistingAccounts, Integration
from domain.integrations.service import forget_cursors, take_integration
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.models import Origin, User


class MatchKey(StrEnum):
    """What MATCH_KEYS can compare."""

    NUMBER = "number"
    EMAIL = "email"


USUAL_KEYS: Final = (MatchKey.NUMBER, MatchKey.EMAIL)


async def set_existing_accounts(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    policy: ExistingAccounts,
    match_keys: Sequence[MatchKey] | None,
    caller: Caller,
) -> Integration:
    """Without keys the usual ones are compared. Raises InvalidInput and NotFound."""
    keys = _check(policy, match_keys)
    integration = await take_integration(session, tenant_id=tenant_id)
    integration.existing_accounts = policy
    integration.match_keys = [key.value for key in keys]
    forget_cursors(integration)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="existingAccountsSet",
        target=str(integration.id),
        details={"policy": policy.value, "match_keys": integration.match_keys},
    )
    await session.flush()
    return integration


def _check(policy: ExistingAccounts, match_keys: Sequence[MatchKey] | None) -> Sequence[MatchKey]:
    if match_keys is None:
        return USUAL_KEYS
    if policy is not ExistingAccounts.MATCH_KEYS:
        raise InvalidInput("matchKeys", "Keys are compared with the policy MATCH_KEYS only.")
    if not match_keys or len(set(match_keys)) < len(match_keys):
        raise InvalidInput("matchKeys", "Give each key once, the one that decides first before.")
    return match_keys


async def require_policy(session: AsyncSession, integration: Integration) -> None:
    """Nobody who was there before is archived or linked without having been asked for.

    Raises Conflict.
    """
    if integration.existing_accounts is None and await session.scalar(
        select(
            exists(User.id).where(
                User.tenant_id == integration.tenant_id,
                User.origin == Origin.LEGACY,
                User.archived_at.is_(None),
            )
        )
    ):
        choices = ", ".join(ExistingAccounts)
        raise Conflict(
            "There are people from before rostering: choose first what becomes of them"
            f" (existingAccountsSet: {choices}).",
            field="existingAccounts",
        )
