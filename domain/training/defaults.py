"""Choosing the group and the school that somebody lands in. What comes of it: see places."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, NotFound
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.models import Group, Membership, School, SchoolAffiliation, User
from domain.training.models import DefaultPlace
from domain.training.places import Place, Places, PlaceSource, places_of_users


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

    Raises NotFound, and Conflict for who is archived and a group that is not theirs now.
    """
    places = await _places_of(session, tenant_id, user_id)
    if _stands(places.group, group_id):
        return
    if group_id is not None and not await _is_member(session, tenant_id, user_id, group_id):
        raise Conflict(
            "This is not a group that the person is in now: choose one of theirs.", field="groupId"
        )
    await _store(session, tenant_id, user_id, _of_group(group_id, caller, now))
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="defaultGroupSet",
        target=str(user_id),
        details={"group_id": str(group_id) if group_id else None},
    )
    await session.flush()


async def set_default_school(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    user_id: UUID,
    school_id: UUID | None,
    caller: Caller,
    now: datetime,
) -> None:
    """None: no choice. The same choice again is no act.

    Raises NotFound, and Conflict for who is archived and a school that is not theirs now.
    """
    places = await _places_of(session, tenant_id, user_id)
    if _stands(places.school, school_id):
        return
    if school_id is not None and not await _is_of_school(session, tenant_id, user_id, school_id):
        raise Conflict(
            "This is not a school of the person now: choose one of theirs.", field="schoolId"
        )
    await _store(session, tenant_id, user_id, _of_school(school_id, caller, now))
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="defaultSchoolSet",
        target=str(user_id),
        details={"school_id": str(school_id) if school_id else None},
    )
    await session.flush()


async def _places_of(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> Places:
    found = await session.execute(
        select(User.archived_at).where(User.tenant_id == tenant_id, User.id == user_id)
    )
    row = found.one_or_none()
    if row is None:
        raise NotFound("person", user_id)
    if row.archived_at is not None:
        raise Conflict("This person is archived, and lands nowhere.", field="userId")
    return (await places_of_users(session, tenant_id, [user_id]))[user_id]


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


def _of_group(group_id: UUID | None, caller: Caller, now: datetime) -> dict[str, object]:
    if group_id is None:
        return dict.fromkeys(("group_id", "group_set_at", "group_set_by"))
    return {"group_id": group_id, "group_set_at": now, "group_set_by": caller.actor}


def _of_school(school_id: UUID | None, caller: Caller, now: datetime) -> dict[str, object]:
    if school_id is None:
        return dict.fromkeys(("school_id", "school_set_at", "school_set_by"))
    return {"school_id": school_id, "school_set_at": now, "school_set_by": caller.actor}


async def _store(
    session: AsyncSession, tenant_id: UUID, user_id: UUID, values: dict[str, object]
) -> None:
    """Only these columns, so that a choice of a group and one of a school at once both stay."""
    key = {"tenant_id": tenant_id, "user_id": user_id}
    await session.execute(
        insert(DefaultPlace)
        .values(**key, **values)
        .on_conflict_do_update(index_elements=list(key), set_=values)
    )
