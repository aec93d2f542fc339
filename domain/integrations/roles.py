"""What a tenant changes of its provider's role map (P10)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import InvalidInput
from domain.integrations.models import RoleMap
from domain.integrations.service import forget_cursors, get_integration, take_integration
from domain.integrations.texts import check_texts
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.records import Role

MOST_ENTRIES: Final = 100


class RoleMapEntry(NamedTuple):
    """`role` None: people of that word are left out. `is_changed`: by the tenant."""

    provider_role: str
    role: Role | None
    is_changed: bool


def merge_role_maps(
    usual: Mapping[str, Role | None], changes: Mapping[str, Role | None]
) -> list[RoleMapEntry]:
    """The provider's usual map with the tenant's changes in it, by the words."""
    changed = {word.casefold() for word in changes}
    entries = [
        *(
            RoleMapEntry(word, role, is_changed=False)
            for word, role in usual.items()
            if word.casefold() not in changed
        ),
        *(RoleMapEntry(word, role, is_changed=True) for word, role in changes.items()),
    ]
    return sorted(entries, key=lambda entry: entry.provider_role.casefold())


async def get_role_changes(session: AsyncSession, *, tenant_id: UUID) -> dict[str, Role | None]:
    """What the tenant changes of its provider's usual map."""
    integration = await get_integration(session, tenant_id=tenant_id)
    rows = await session.execute(
        select(RoleMap.provider_role, RoleMap.role).where(
            RoleMap.tenant_id == tenant_id, RoleMap.integration_id == integration.id
        )
    )
    return {word: Role(role) if role else None for word, role in rows}


def check_role_map(given: Sequence[tuple[str, Role | None]]) -> dict[str, Role | None]:
    """By the provider's word. Raises InvalidInput."""
    if len(given) > MOST_ENTRIES:
        raise InvalidInput("entries", f"A role map has at most {MOST_ENTRIES} entries.")
    entries: dict[str, Role | None] = {}
    for word, role in given:
        [name] = check_texts("entries", [word], most=1)
        if name.casefold() in {known.casefold() for known in entries}:
            raise InvalidInput("entries", f"The word {name!r} is there twice.")
        entries[name] = role
    return entries


async def set_role_map(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    entries: Mapping[str, Role | None],
    caller: Caller,
    now: datetime,
) -> None:
    """Put them in the place of the former changes; None leaves the people of a word out."""
    integration = await take_integration(session, tenant_id=tenant_id)
    of_integration = {"tenant_id": tenant_id, "integration_id": integration.id}
    await session.execute(
        delete(RoleMap).where(
            RoleMap.tenant_id == tenant_id, RoleMap.integration_id == integration.id
        )
    )
    session.add_all(
        RoleMap(**of_integration, provider_role=word, role=role.value if role else None)
        for word, role in entries.items()
    )
    integration.updated_at = now
    forget_cursors(integration)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="roleMapSet",
        target=str(integration.id),
        details={"roles": {word: role and role.value for word, role in entries.items()}},
    )
    await session.flush()
