"""Sharing rules (T4): which part of what the provider shares a tenant takes over."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import InvalidInput
from domain.integrations.models import SharingRule, SharingSubject
from domain.integrations.service import forget_cursors, get_integration, take_integration
from domain.integrations.texts import check_texts
from domain.people.audit import record_act
from domain.people.callers import Caller

MOST_VALUES: Final = 1000


@dataclass(frozen=True, slots=True)
class SharingRules:
    """At most one rule for each subject; no rules: everything is taken over."""

    values: Mapping[SharingSubject, Sequence[str]]

    @classmethod
    def of(
        cls,
        given: Sequence[tuple[SharingSubject, Sequence[str]]],
        *,
        normalise_grade: Callable[[str], str | None],
    ) -> "SharingRules":
        """Raises InvalidInput. Grades become CEDS codes, as the roster has them."""
        values: dict[SharingSubject, Sequence[str]] = {}
        for subject, texts in given:
            if subject in values:
                raise InvalidInput("rules", f"There are two rules for {subject.value}; join them.")
            checked = check_texts("rules", texts, most=MOST_VALUES)
            if subject is SharingSubject.GRADE:
                checked = _grades(checked, normalise_grade)
            values[subject] = checked
        return cls(values)

    def is_same(self, stored: Mapping[str, Sequence[str]] | None) -> bool:
        """Whether a run had these rules, in whatever order they were given."""
        if stored is None:
            return False
        own = {subject.value: set(values) for subject, values in self.values.items()}
        return own == {subject: set(values) for subject, values in stored.items()}


def _grades(texts: Sequence[str], normalise: Callable[[str], str | None]) -> list[str]:
    grades = []
    for text in texts:
        grade = normalise(text)
        if grade is None:
            raise InvalidInput("rules", f"{text!r} is no grade, such as KG, 01 or 12.")
        grades.append(grade)
    return list(dict.fromkeys(grades))


async def get_sharing_rules(session: AsyncSession, *, tenant_id: UUID) -> SharingRules:
    integration = await get_integration(session, tenant_id=tenant_id)
    rows = await session.execute(
        select(SharingRule.subject, SharingRule.values)
        .where(SharingRule.tenant_id == tenant_id, SharingRule.integration_id == integration.id)
        .order_by(SharingRule.subject)
    )
    return SharingRules({SharingSubject(row.subject): row.values for row in rows})


async def set_sharing_rules(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    rules: SharingRules,
    preview_run_id: UUID | None,
    caller: Caller,
    now: datetime,
) -> None:
    """Put them in the place of the former ones.

    `preview_run_id`: the preview of these rules whose archives were seen; those are not held.
    """
    integration = await take_integration(session, tenant_id=tenant_id)
    of_integration = {"tenant_id": tenant_id, "integration_id": integration.id}
    await session.execute(
        delete(SharingRule).where(
            SharingRule.tenant_id == tenant_id, SharingRule.integration_id == integration.id
        )
    )
    session.add_all(
        SharingRule(**of_integration, subject=subject, values=list(values))
        for subject, values in rules.values.items()
    )
    integration.sharing_preview_run_id = preview_run_id
    integration.updated_at = now
    forget_cursors(integration)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="sharingRulesSet",
        target=str(integration.id),
        details=_told(rules, preview_run_id),
    )
    await session.flush()


def _told(rules: SharingRules, preview_run_id: UUID | None) -> dict[str, Any]:
    return {
        "values": {subject.value: len(values) for subject, values in rules.values.items()},
        "preview_run_id": str(preview_run_id) if preview_run_id else None,
    }
