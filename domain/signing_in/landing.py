"""Where somebody lands who has signed in: their group or school, or a choice of them (L5)."""

from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import InvalidInput
from domain.people.callers import Caller
from domain.roster.models import Group, Membership, School, SchoolAffiliation
from domain.training.defaults import set_default_group, set_default_school
from domain.training.places import NOWHERE, Place, PlaceSource, places_of_users

_MOST_CHOICES: Final = 500
_SCHOOL_NAME: Final = func.coalesce(School.display_name, School.name)


class PlaceKind(StrEnum):
    GROUP = "GROUP"
    SCHOOL = "SCHOOL"


class Spot(NamedTuple):
    """A group or a school to land in."""

    kind: PlaceKind
    id: UUID
    name: str


class Landing(NamedTuple):
    """`spot` None: they are asked, or there is nowhere to go if there are no `choices`."""

    spot: Spot | None
    choices: list[Spot]


async def landing_of(session: AsyncSession, *, tenant_id: UUID, user_id: UUID) -> Landing:
    """A group before a school: whoever has groups is asked for one of them."""
    groups = await _groups(session, tenant_id, user_id)
    places = (await places_of_users(session, tenant_id, [user_id])).get(user_id, NOWHERE)
    if groups:
        is_sure = places.group.source is not PlaceSource.ASK
        spot = await _spot(session, tenant_id, PlaceKind.GROUP, places.group) if is_sure else None
        return Landing(spot, groups)
    schools = await _schools(session, tenant_id, user_id)
    is_sure = places.school.source is PlaceSource.CHOSEN or len(schools) == 1
    spot = await _spot(session, tenant_id, PlaceKind.SCHOOL, places.school) if is_sure else None
    return Landing(spot, schools)


async def _spot(
    session: AsyncSession, tenant_id: UUID, kind: PlaceKind, place: Place
) -> Spot | None:
    """It may be none of the choices: those are not all that somebody has."""
    table, shown = (Group, Group.name) if kind is PlaceKind.GROUP else (School, _SCHOOL_NAME)
    name = await session.scalar(
        select(shown).where(table.tenant_id == tenant_id, table.id == place.id)
    )
    return Spot(kind, place.id, name) if place.id and name is not None else None


async def _groups(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> list[Spot]:
    rows = await session.execute(
        select(Group.id, Group.name)
        .join(Membership, (Membership.tenant_id == tenant_id) & (Membership.group_id == Group.id))
        .where(Group.tenant_id == tenant_id, Membership.user_id == user_id)
        .where(Membership.archived_at.is_(None), Group.archived_at.is_(None))
        .distinct()
        .order_by(Group.name, Group.id)
        .limit(_MOST_CHOICES)
    )
    return [Spot(PlaceKind.GROUP, *row) for row in rows]


async def _schools(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> list[Spot]:
    link = SchoolAffiliation
    rows = await session.execute(
        select(School.id, _SCHOOL_NAME)
        .join(link, (link.tenant_id == tenant_id) & (link.school_id == School.id))
        .where(School.tenant_id == tenant_id, link.user_id == user_id)
        .where(School.archived_at.is_(None))
        .order_by(_SCHOOL_NAME, School.id)
        .limit(_MOST_CHOICES)
    )
    return [Spot(PlaceKind.SCHOOL, *row) for row in rows]


async def choose_place(
    session: AsyncSession, *, tenant_id: UUID, spot_id: UUID, caller: Caller, now: datetime
) -> None:
    """The caller's own choice. Raises InvalidInput for what is none of theirs, and Conflict."""
    user_id = caller.user_id
    if user_id is None:
        raise InvalidInput("place", "Only people of the roster land somewhere.")
    choices = (await landing_of(session, tenant_id=tenant_id, user_id=user_id)).choices
    chosen = next((spot for spot in choices if spot.id == spot_id), None)
    match chosen:
        case None:
            raise InvalidInput("place", "Choose one of your own groups or schools.")
        case Spot(kind=PlaceKind.GROUP):
            await set_default_group(
                session,
                tenant_id=tenant_id,
                user_id=user_id,
                group_id=spot_id,
                caller=caller,
                now=now,
            )
        case Spot():
            await set_default_school(
                session,
                tenant_id=tenant_id,
                user_id=user_id,
                school_id=spot_id,
                caller=caller,
                now=now,
            )
