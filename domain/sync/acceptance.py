"""Accepting what is meant so: a warning or a note stays quiet until its value changes (V4)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.validation.codes import Code, Severity
from domain.validation.models import ErrorState, ValidationError

MOST_IDS: Final = 500
MOST_NOTE: Final = 500
ACCEPTABLE: Final = (Severity.WARNING, Severity.INFO)


class Chosen(NamedTuple):
    """Errors by their ids, or all of a code; with `cause` those of one correction."""

    ids: Sequence[UUID] = ()
    code: Code | None = None
    cause: str | None = None

    def conditions(self, tenant_id: UUID) -> list[ColumnElement[bool]]:
        row = ValidationError
        wanted = [row.tenant_id == tenant_id]
        if self.code is None:
            return [*wanted, row.id.in_(self.ids)]
        of_cause = [] if self.cause is None else [row.cause == self.cause]
        return [*wanted, row.code == self.code, *of_cause]


def check_chosen(chosen: Chosen) -> Chosen:
    """Raises InvalidInput."""
    if (not chosen.ids) == (chosen.code is None):
        raise InvalidInput("ids", "Name errors by their ids, or all of a code.")
    ids = tuple(dict.fromkeys(chosen.ids))
    if len(ids) > MOST_IDS:
        raise InvalidInput("ids", f"At most {MOST_IDS} errors at once; more go by their code.")
    return chosen._replace(ids=ids)


def check_note(note: str | None) -> str | None:
    """Raises InvalidInput."""
    text = (note or "").strip()
    if len(text) > MOST_NOTE:
        raise InvalidInput("note", f"A note has at most {MOST_NOTE} characters.")
    return text or None


async def accept_errors(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    chosen: Chosen,
    note: str | None,
    caller: Caller,
    now: datetime,
) -> list[UUID]:
    """All or none. Raises Conflict for what is no open warning or note, NotFound."""
    chosen, note = check_chosen(chosen), check_note(note)
    wanted = await _take(session, tenant_id, chosen, ErrorState.OPEN)
    accepted = await _change(
        session,
        tenant_id,
        wanted,
        {
            "state": ErrorState.ACCEPTED,
            "accepted_at": now,
            "accepted_by": caller.actor,
            "accepted_note": note,
        },
    )
    _record(session, tenant_id, caller, "validationErrorAccept", chosen, len(accepted))
    return accepted


async def reopen_errors(
    session: AsyncSession, *, tenant_id: UUID, chosen: Chosen, caller: Caller
) -> list[UUID]:
    """All or none. Raises Conflict for what is not accepted, NotFound."""
    chosen = check_chosen(chosen)
    wanted = await _take(session, tenant_id, chosen, ErrorState.ACCEPTED)
    reopened = await _change(
        session,
        tenant_id,
        wanted,
        {
            "state": ErrorState.OPEN,
            "accepted_at": None,
            "accepted_by": None,
            "accepted_note": None,
        },
    )
    _record(session, tenant_id, caller, "validationErrorReopen", chosen, len(reopened))
    return reopened


async def _take(
    session: AsyncSession, tenant_id: UUID, chosen: Chosen, state: ErrorState
) -> list[ColumnElement[bool]]:
    """The conditions that name them, once all of them are known to be in that state."""
    row = ValidationError
    conditions = chosen.conditions(tenant_id)
    if chosen.code is None:
        rows = await session.execute(
            select(row.id, row.code, row.state, row.severity)
            .where(*conditions)
            .order_by(row.id)
            .with_for_update()
        )
        found = {each.id: each for each in rows}
        for key in chosen.ids:
            if key not in found:
                raise NotFound("validation error", key)
            each = found[key]
            _demand_acceptable(each.code, each.severity, "ids")
            _demand_state(each.code, each.state, state)
        return conditions
    in_state = [*conditions, row.state == state]
    severities = set(await session.scalars(select(row.severity).where(*in_state).distinct()))
    if not severities:
        raise Conflict(f"No error of the code {chosen.code} is {state.lower()}.", field="code")
    for severity in severities:
        _demand_acceptable(chosen.code, severity, "code")
    # What a run makes an error of meanwhile stays open.
    return [*in_state, row.severity.in_(ACCEPTABLE)]


def _demand_acceptable(code: str, severity: Severity, field: str) -> None:
    if severity not in ACCEPTABLE:
        raise Conflict(
            f"{code} is of the severity {severity.value}: the record was not applied, and to accept"
            " that would hide that it is missing here. Only warnings and notes can be accepted.",
            field=field,
        )


def _demand_state(code: str, state: ErrorState, wanted: ErrorState) -> None:
    if state is wanted:
        return
    told = {
        ErrorState.OPEN: "is open already",
        ErrorState.ACCEPTED: "is accepted already",
        ErrorState.RESOLVED: "is gone already",
    }
    raise Conflict(f"An error of the code {code} {told[state]}.", field="ids")


async def _change(
    session: AsyncSession,
    tenant_id: UUID,
    conditions: Sequence[ColumnElement[bool]],
    values: dict[str, object],
) -> list[UUID]:
    row = ValidationError
    changed = await session.scalars(
        update(row)
        .where(row.tenant_id == tenant_id, *conditions)
        .values(values)
        .returning(row.id)
        .execution_options(synchronize_session=False)
    )
    return sorted(changed)


def _record(
    session: AsyncSession, tenant_id: UUID, caller: Caller, action: str, chosen: Chosen, count: int
) -> None:
    named = (
        {"ids": [str(key) for key in chosen.ids]}
        if chosen.code is None
        else {"code": chosen.code.value, "cause": chosen.cause, "count": count}
    )
    record_act(session, tenant_id=tenant_id, caller=caller, action=action, details=named)
