"""Choosing the group and the school that somebody lands in. What comes of it: see places."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, Forbidden, NotFound
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.reach import Reach
from domain.roster.models import Group, Membership, School, SchoolAffiliation, User
from domain.training.models import DefaultPlace
from domain.training.places import Place, Places, PlaceSource, places_of_users
from domain.training.reach import changed_students, is_among

_WHO_MAY: Final = (
    "Only the person, their teachers and administrators of their school may choose where they land."
)


class Choice(NamedTuple):
    """`what` is group or school; `key` None takes the choice back."""

    what: str
    key: UUID | None
    caller: Caller
    now: datetime


async def set_default_group(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    user_id: UUID,
    group_id: UUID | None,
    caller: Caller,
    now: datetime,
) -> None:
    """None: no choice. The same choice again is no act, unless a new year has ended it.

    Raises NotFound, Forbidden, and Conflict for who is archived and a group that is not theirs now.
    """
    places = await _places_of(session, tenant_id, user_id, caller.reach)
    if _stands(places.group, group_id):
        return
    if group_id is not None and not await _is_member(session, tenant_id, user_id, group_id):
        raise _not_theirs("group", user_id, group_id)
    await _choose(session, tenant_id, user_id, Choice("group", group_id, caller, now))


async def set_default_school(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    user_id: UUID,
    school_id: UUID | None,
    caller: Caller,
    now: datetime,
) -> None:
    """The same of a school, which no new year ends."""
    places = await _places_of(session, tenant_id, user_id, caller.reach)
    if _stands(places.school, school_id):
        return
    if school_id is not None and not await _is_of_school(session, tenant_id, user_id, school_id):
        raise _not_theirs("school", user_id, school_id)
    await _choose(session, tenant_id, user_id, Choice("school", school_id, caller, now))


def _not_theirs(what: str, user_id: UUID, key: UUID) -> Conflict:
    return Conflict(
        f"The person {str(user_id)!r} is not in the {what} {str(key)!r} now: choose one of theirs.",
        field=f"{what}Id",
    )


async def _places_of(
    session: AsyncSession, tenant_id: UUID, user_id: UUID, reach: Reach | None
) -> Places:
    found = await session.execute(
        select(User.archived_at).where(User.tenant_id == tenant_id, User.id == user_id)
    )
    row = found.one_or_none()
    if row is None:
        raise NotFound("person", user_id)
    if reach is not None and not await _may_choose(session, user_id, reach):
        raise Forbidden(_WHO_MAY)
    if row.archived_at is not None:
        raise Conflict(
            f"The person {str(user_id)!r} is archived, and lands nowhere.", field="userId"
        )
    return (await places_of_users(session, tenant_id, [user_id]))[user_id]


async def _may_choose(session: AsyncSession, user_id: UUID, reach: Reach) -> bool:
    return user_id == reach.user_id or await is_among(session, user_id, changed_students())


def _stands(place: Place, wanted: UUID | None) -> bool:
    if wanted is None:
        return place.chosen_id is None
    return place.chosen_id == wanted and place.source is PlaceSource.CHOSEN


async def _is_member(session: AsyncSession, tenant_id: UUID, user_id: UUID, group_id: UUID) -> bool:
    link = Membership
    found = await session.scalar(
        select(link.id)
        .join(Group, (Group.tenant_id == link.tenant_id) & (Group.id == link.group_id))
        .where(link.tenant_id == tenant_id, link.user_id == user_id, link.group_id == group_id)
        .where(link.archived_at.is_(None), Group.archived_at.is_(None))
        .limit(1)
    )
    return found is not None


async def _is_of_school(
    session: AsyncSession, tenant_id: UUID, user_id: UUID, school_id: UUID
) -> bool:
    link = SchoolAffiliation
    found = await session.scalar(
        select(link.school_id)
        .join(School, (School.tenant_id == link.tenant_id) & (School.id == link.school_id))
        .where(link.tenant_id == tenant_id, link.user_id == user_id, link.school_id == school_id)
        .where(School.archived_at.is_(None))
    )
    return found is not None


async def _choose(session: AsyncSession, tenant_id: UUID, user_id: UUID, choice: Choice) -> None:
    """Only its own columns, so that a choice of a group and one of a school at once both stay."""
    what, key = choice.what, {"tenant_id": tenant_id, "user_id": user_id}
    is_made = choice.key is not None
    values = {
        f"{what}_id": choice.key,
        f"{what}_set_at": choice.now if is_made else None,
        f"{what}_set_by": choice.caller.actor if is_made else None,
    }
    await session.execute(
        insert(DefaultPlace)
        .values(**key, **values)
        .on_conflict_do_update(index_elements=list(key), set_=values)
    )
    record_act(
        session,
        tenant_id=tenant_id,
        caller=choice.caller,
        action=f"default{what.capitalize()}Set",
        target=str(user_id),
        details={f"{what}_id": str(choice.key) if is_made else None},
    )
    await session.flush()
