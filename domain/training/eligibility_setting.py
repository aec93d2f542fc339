"""Saying here who may use the product (product.md P9): what is set here wins over the provider."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Select, delete, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import utc_now
from domain.errors import InvalidInput, NotFound
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.models import User
from domain.tenants.models import Subscription
from domain.training.eligibility import is_eligible
from domain.training.models import EligibilityOverride
from domain.training.seats import read_seats, require_seats
from domain.training.selection import Selection, check_selection, is_selected

MOST_PEOPLE: Final = 1000
_END_SESSIONS: Final = text(
    "UPDATE sessions s SET ended_at = :now FROM users u"  # noqa: S608 - our own SQL
    " WHERE s.tenant_id = :tenant_id AND s.ended_at IS NULL AND s.user_id = ANY (:user_ids)"
    " AND u.tenant_id = s.tenant_id AND u.id = s.user_id"
    f" AND NOT {is_eligible('u', user_id='u.id', tenant_id=':tenant_id')}"
)


class EligibilitySource(StrEnum):
    """Who says whether somebody is eligible."""

    PROVIDER = "PROVIDER"
    LOCAL = "LOCAL"


class Eligibility(NamedTuple):
    """`provider_says` is what is stored of the provider, whoever decides."""

    is_eligible: bool
    source: EligibilitySource
    provider_says: bool
    set_at: datetime | None
    set_by: str | None


class Whose(NamedTuple):
    """People by their ids, or else those who are selected: students."""

    user_ids: Sequence[UUID] | None = None
    selection: Selection = Selection()


async def eligibility_of_users(
    session: AsyncSession, tenant_id: UUID, user_ids: Sequence[UUID]
) -> Mapping[UUID, Eligibility]:
    row = EligibilityOverride
    found = await session.execute(
        select(
            User.id,
            User.is_eligible,
            row.user_id.is_not(None),
            row.is_eligible,
            row.set_at,
            row.set_by,
        )
        .outerjoin(row, (row.tenant_id == User.tenant_id) & (row.user_id == User.id))
        .where(User.tenant_id == tenant_id, User.id.in_(user_ids))
    )
    return {
        user_id: Eligibility(
            is_eligible=ours if is_local else theirs,
            source=EligibilitySource.LOCAL if is_local else EligibilitySource.PROVIDER,
            provider_says=theirs,
            set_at=set_at,
            set_by=set_by,
        )
        for user_id, theirs, is_local, ours, set_at, set_by in found
    }


async def set_eligibility(
    session: AsyncSession, *, tenant_id: UUID, whose: Whose, value: bool | None, caller: Caller
) -> int:
    """None: as the provider says again. Of how many people something is said otherwise now.

    Sessions of those who are not eligible any more end. Raises InvalidInput, NotFound, and
    Conflict where more students would be let in than there are licences, unless an operator asks.
    """
    await _check(session, tenant_id, whose)
    # Whoever else lets students in waits, so that the licences are counted once.
    subscription = Subscription
    await session.execute(
        select(subscription.tenant_id).where(subscription.tenant_id == tenant_id).with_for_update()
    )
    before = await read_seats(session, tenant_id=tenant_id)
    changed = await _write(session, tenant_id, whose, value, caller.actor)
    if value is not False and not caller.is_operator:
        await require_seats(session, tenant_id=tenant_id, before=before, field="isEligible")
    if value is not True:
        ending = {"tenant_id": tenant_id, "now": utc_now(), "user_ids": changed}
        await session.execute(_END_SESSIONS, ending)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="eligibilitySet",
        target=_target(whose),
        details=_told(whose) | {"is_eligible": value, "changed": len(changed)},
    )
    await session.flush()
    return len(changed)


async def _check(session: AsyncSession, tenant_id: UUID, whose: Whose) -> None:
    if whose.user_ids is None:
        if whose.selection == Selection():
            raise InvalidInput("filter", "Name a school, a group or a grade.")
        await check_selection(session, tenant_id, whose.selection)
        return
    if not 1 <= len(whose.user_ids) <= MOST_PEOPLE:
        raise InvalidInput("userIds", f"Name 1 to {MOST_PEOPLE} people.")
    known = await session.scalars(
        select(User.id).where(User.tenant_id == tenant_id, User.id.in_(whose.user_ids))
    )
    unknown = set(whose.user_ids) - set(known)
    if unknown:
        raise NotFound("person", min(unknown))


def _chosen(tenant_id: UUID, whose: Whose) -> Select[Any]:
    """The ids of the people who are meant; by their ids whoever they are."""
    if whose.user_ids is None:
        return select(User.id).where(*is_selected(tenant_id, whose.selection))
    return select(User.id).where(User.tenant_id == tenant_id, User.id.in_(whose.user_ids))


async def _write(
    session: AsyncSession, tenant_id: UUID, whose: Whose, value: bool | None, actor: str
) -> list[UUID]:
    """One statement, however many people. Who was said otherwise before."""
    row = EligibilityOverride
    chosen = _chosen(tenant_id, whose)
    if value is None:
        taken_back = (
            delete(row)
            .where(row.tenant_id == tenant_id, row.user_id.in_(chosen))
            .returning(row.user_id)
            .execution_options(synchronize_session=False)
        )
        return list((await session.execute(taken_back)).scalars())
    users = chosen.subquery()
    said = insert(row).from_select(
        ["tenant_id", "user_id", "is_eligible", "set_at", "set_by"],
        select(literal(tenant_id), users.c.id, literal(value), func.now(), literal(actor)).order_by(
            users.c.id
        ),
    )
    written = said.on_conflict_do_update(
        index_elements=[row.tenant_id, row.user_id],
        set_={name: said.excluded[name] for name in ("is_eligible", "set_at", "set_by")},
        where=row.is_eligible != said.excluded.is_eligible,
    ).returning(row.user_id)
    return list((await session.execute(written)).scalars())


def _target(whose: Whose) -> str | None:
    only = whose.user_ids[0] if whose.user_ids and len(whose.user_ids) == 1 else None
    found = only or whose.selection.group_id or whose.selection.school_id
    return str(found) if found else None


def _told(whose: Whose) -> dict[str, Any]:
    """For the audit log: as many ids as may be given, since nothing else says who was meant."""
    if whose.user_ids is not None:
        return {"user_ids": [str(user_id) for user_id in whose.user_ids]}
    given = whose.selection.as_json()
    return {name: given[name] for name in ("school_id", "group_id", "grade") if given[name]}
