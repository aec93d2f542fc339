"""What a tenant requires of its students beyond the taxonomy (product.md V6)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput
from domain.integrations.models import Integration, Requirement
from domain.integrations.service import forget_cursors, take_integration
from domain.integrations.texts import check_texts
from domain.people.audit import record_act
from domain.people.callers import Caller

MOST_DOMAINS: Final = 50


class RequirementName(StrEnum):
    GRADE_REQUIRED = "GRADE_REQUIRED"
    UNIQUE_EMAIL_REQUIRED = "UNIQUE_EMAIL_REQUIRED"
    UNIQUE_NUMBER_REQUIRED = "UNIQUE_NUMBER_REQUIRED"


async def enabled_requirements(
    session: AsyncSession, tenant_ids: Sequence[UUID]
) -> dict[UUID, set[RequirementName]]:
    """By tenant; who requires nothing is left out."""
    rows = await session.execute(
        select(Requirement.tenant_id, Requirement.name).where(
            Requirement.tenant_id.in_(tenant_ids), Requirement.is_enabled
        )
    )
    found: dict[UUID, set[RequirementName]] = {}
    for tenant_id, name in rows:
        found.setdefault(tenant_id, set()).add(RequirementName(name))
    return found


def check_requirements(
    given: Sequence[tuple[RequirementName, bool]],
) -> dict[RequirementName, bool]:
    """Raises InvalidInput."""
    wanted: dict[RequirementName, bool] = {}
    for name, is_enabled in given:
        if name in wanted:
            raise InvalidInput("requirements", f"The requirement {name.value} is there twice.")
        wanted[name] = is_enabled
    return wanted


def check_domains(given: Sequence[str]) -> list[str]:
    """Of email addresses, in lower case and without an @ in front. Raises InvalidInput."""
    if not given:
        return []
    texts = check_texts("emailDomains", given, most=MOST_DOMAINS)
    domains = [text.lower().removeprefix("@") for text in texts]
    for domain in domains:
        labels = domain.split(".")
        if len(labels) < 2 or not all(label and "@" not in label for label in labels):  # noqa: PLR2004 - a name and a top level
            raise InvalidInput("emailDomains", f"{domain!r} is no domain of email addresses.")
    return list(dict.fromkeys(domains))


async def set_requirements(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    requirements: Mapping[RequirementName, bool],
    email_domains: Sequence[str] | None,
    caller: Caller,
    now: datetime,
) -> Integration:
    """What is not named, and domains that are None, stay as they are. They hold from the next sync.

    Raises Conflict: without their addresses no student can have an own one.
    """
    integration = await take_integration(session, tenant_id=tenant_id)
    is_email_wanted = requirements.get(RequirementName.UNIQUE_EMAIL_REQUIRED, False)
    if is_email_wanted and not integration.with_student_email:
        raise Conflict(
            "Students' email addresses are not taken over: switch that on in the integration"
            " first, or every student would fail.",
            field="requirements",
        )
    await session.execute(
        delete(Requirement).where(
            Requirement.tenant_id == tenant_id,
            Requirement.name.in_([name.value for name in requirements]),
        )
    )
    session.add_all(
        Requirement(tenant_id=tenant_id, name=name.value, is_enabled=is_enabled)
        for name, is_enabled in requirements.items()
    )
    if email_domains is not None:
        integration.email_domains = list(email_domains)
    integration.updated_at = now
    # A delta would not name those who were fine until now.
    forget_cursors(integration)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="requirementsSet",
        target=str(integration.id),
        details={
            "requirements": {name.value: value for name, value in requirements.items()},
            **({} if email_domains is None else {"email_domains": list(email_domains)}),
        },
    )
    await session.flush()
    return integration
