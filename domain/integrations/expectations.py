"""Expectations (T4): what a district says that it shares, before anything is compared with it."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import InvalidInput
from domain.integrations.models import Integration
from domain.integrations.service import take_integration
from domain.integrations.texts import check_texts
from domain.people.audit import record_act
from domain.people.callers import Caller

MOST_SCHOOLS: Final = 1000
MOST_CLASSES: Final = 5000
MOST_LICENCES: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Expectations:
    """What is None was not said; an empty list says that there is none.

    Schools are told by id, number or name, classes by id, code or name.
    """

    schools: list[str] | None = None
    classes: list[str] | None = None
    licences: int | None = None
    starts_on: date | None = None

    @classmethod
    def of(cls, stored: dict[str, Any] | None) -> Self | None:
        if stored is None:
            return None
        starts_on = stored.get("starts_on")
        return cls(
            schools=stored.get("schools"),
            classes=stored.get("classes"),
            licences=stored.get("licences"),
            starts_on=date.fromisoformat(starts_on) if starts_on else None,
        )

    def as_stored(self) -> dict[str, Any] | None:
        """Without what was not said; None where nothing was."""
        said = {
            "schools": self.schools,
            "classes": self.classes,
            "licences": self.licences,
            "starts_on": self.starts_on and self.starts_on.isoformat(),
        }
        return {name: value for name, value in said.items() if value is not None} or None


async def set_expectations(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    expectations: Expectations,
    caller: Caller,
) -> Integration:
    """In the place of the former ones. They change no sync, only what a preflight says."""
    checked = _check(expectations)
    integration = await take_integration(session, tenant_id=tenant_id)
    integration.expectations = checked.as_stored()
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="expectationsSet",
        target=str(integration.id),
        details={
            "schools": None if checked.schools is None else len(checked.schools),
            "classes": None if checked.classes is None else len(checked.classes),
            "licences": checked.licences,
            "starts_on": checked.starts_on and checked.starts_on.isoformat(),
        },
    )
    await session.flush()
    return integration


def _check(given: Expectations) -> Expectations:
    """Raises InvalidInput."""
    if given.licences is not None and not 0 <= given.licences <= MOST_LICENCES:
        raise InvalidInput("licences", f"Give a number from 0 to {MOST_LICENCES}.")
    return Expectations(
        schools=_check_list("schools", given.schools, most=MOST_SCHOOLS),
        classes=_check_list("classes", given.classes, most=MOST_CLASSES),
        licences=given.licences,
        starts_on=given.starts_on,
    )


def _check_list(field: str, given: list[str] | None, *, most: int) -> list[str] | None:
    return check_texts(field, given, most=most) if given else given
