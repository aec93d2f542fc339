"""Adding, changing, archiving and restoring by hand what no provider manages (product.md G3).

An edit is looked through twice: where it is asked for, so that a refusal comes at once, and by the
worker that does it, as the errand ROSTER_EDIT. What a provider manages is refused, with the place
where it is changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import new_id, utc_now
from domain.errors import Conflict, InvalidInput, NotFound
from domain.identity.edit_checks import (
    find_membership,
    has_district_admin,
    require_live,
    require_schools,
    require_username,
)
from domain.identity.edit_values import input_name, read_values, shown_name
from domain.identity.merging import end_sessions
from domain.identity.rows import put_affiliations
from domain.integrations.rosterers import find_rosterer
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.managed import Rosterer, refuse_adding, refuse_change
from domain.roster.models import Group, Membership, Origin, School, User
from domain.roster.ownership import OWNERS, FieldOwner
from domain.roster.records import RecordType
from domain.training.seats import read_seats, require_seats

_ROWS: Final[Mapping[RecordType, type[Any]]] = {
    RecordType.USER: User,
    RecordType.GROUP: Group,
    RecordType.SCHOOL: School,
    RecordType.MEMBERSHIP: Membership,
}
_BLANKS: Final[Mapping[RecordType, dict[str, Any]]] = {RecordType.GROUP: {"term_source_ids": []}}
"""What a new record has beside what is given."""
_BLAMED: Final = {RecordType.USER: "tenantId", RecordType.GROUP: "schoolId"}
"""The field of the input that says where something would be added."""


class Kind(StrEnum):
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    ARCHIVE = "ARCHIVE"
    RESTORE = "RESTORE"


class Act(StrEnum):
    """The edits there are, by the names of their mutations."""

    USER_CREATE = "userCreate"
    USER_UPDATE = "userUpdate"
    USER_ARCHIVE = "userArchive"
    USER_RESTORE = "userRestore"
    GROUP_CREATE = "groupCreate"
    GROUP_UPDATE = "groupUpdate"
    SCHOOL_UPDATE = "schoolUpdate"
    MEMBERSHIP_CREATE = "membershipCreate"
    MEMBERSHIP_ARCHIVE = "membershipArchive"

    @property
    def record_type(self) -> RecordType:
        return RecordType(self.name.split("_")[0])

    @property
    def kind(self) -> Kind:
        return Kind(self.name.split("_")[1])


class Asked(NamedTuple):
    """An edit as it is asked for. `record_id` None: of something new. `given` is by column."""

    act: Act
    record_id: UUID | None
    given: Mapping[str, Any]
    is_unlimited: bool = False

    def as_errand(self) -> dict[str, Any]:
        record_id = str(self.record_id) if self.record_id else None
        return self._asdict() | {"act": self.act.value, "record_id": record_id}


@dataclass(frozen=True, slots=True)
class Edit:
    """What was looked through and may be done. `record` None: there is none yet."""

    tenant_id: UUID
    act: Act
    record: Any
    values: dict[str, Any]
    origin: Origin

    @property
    def record_type(self) -> RecordType:
        return self.act.record_type


async def examine_edit(session: AsyncSession, *, tenant_id: UUID, asked: Asked) -> Edit:
    """Changes nothing. Raises what doing it would raise, but for licences that are not there."""
    act, record_type = asked.act, asked.act.record_type
    rosterer = await find_rosterer(session, tenant_id=tenant_id)
    record = None
    if asked.record_id is not None:
        row = _ROWS[record_type]
        record = await session.scalar(
            select(row).where(row.tenant_id == tenant_id, row.id == asked.record_id)
        )
        if record is None:
            raise NotFound(record_type.lower(), asked.record_id)
        _require_ours(asked, record, rosterer)
    elif rosterer.is_connected and record_type in _BLAMED:
        raise refuse_adding(rosterer, field=_BLAMED[record_type])
    values: dict[str, Any] = {}
    if act.kind in {Kind.CREATE, Kind.UPDATE}:
        values = read_values(record_type, asked.given, is_new=act.kind is Kind.CREATE)
        _check_days(values, record)
    origin = await _check_references(session, tenant_id, values, rosterer)
    await _check_person(session, tenant_id, act, record, values)
    if act.kind is Kind.RESTORE:
        _require_restorable(record, rosterer)
    return Edit(tenant_id, act, record, values, origin)


def _require_ours(asked: Asked, record: Any, rosterer: Rosterer) -> None:
    """Of a provider's record only what is local is changed here."""
    if record.origin is not Origin.PROVIDER:
        return
    record_type = asked.act.record_type
    if asked.act.kind is not Kind.UPDATE:
        field = f"{record_type.lower()}Id"
        raise refuse_change([shown_name("archived_at")], rosterer, field=field)
    owners = OWNERS[record_type]
    theirs = [name for name in asked.given if owners.get(name) is not FieldOwner.LOCAL]
    if theirs:
        names = [shown_name(name) for name in theirs]
        raise refuse_change(names, rosterer, field=input_name(theirs[0]))


def _check_days(values: Mapping[str, Any], record: Any) -> None:
    """Of those that are not given the stored ones count."""
    if values.keys().isdisjoint({"starts_on", "ends_on"}):
        return
    starts_on = values.get("starts_on", getattr(record, "starts_on", None))
    ends_on = values.get("ends_on", getattr(record, "ends_on", None))
    if starts_on and ends_on and ends_on <= starts_on:
        raise InvalidInput("endsOn", "The first day after it is not later than the first day.")


async def _check_references(
    session: AsyncSession, tenant_id: UUID, values: Mapping[str, Any], rosterer: Rosterer
) -> Origin:
    """Where a new record comes from: a membership is of the same origin as its group."""
    if "school_ids" in values:
        await require_schools(session, tenant_id, values["school_ids"])
    if "school_id" in values:
        await require_live(session, School, tenant_id, values["school_id"], field="schoolId")
    if "group_id" not in values:
        return Origin.LEGACY
    group = await require_live(session, Group, tenant_id, values["group_id"], field="groupId")
    if group.origin is Origin.PROVIDER:
        raise refuse_adding(rosterer, field="groupId")
    await require_live(session, User, tenant_id, values["user_id"], field="userId")
    stored = await find_membership(session, tenant_id, values)
    if stored is not None and stored.archived_at is None:
        raise Conflict("The person is in the group already, with this role.", field="userId")
    return Origin(group.origin)


async def _check_person(
    session: AsyncSession, tenant_id: UUID, act: Act, record: Any, values: Mapping[str, Any]
) -> None:
    if act.record_type is not RecordType.USER:
        return
    if act.kind is Kind.RESTORE:
        username, field = record.username, "userId"
    else:
        username, field = values.get("username"), "username"
        if record is not None and record.archived_at is not None:
            return  # an archived person's username is not taken by them
    if username is not None:
        but = record.id if record is not None else None
        await require_username(session, tenant_id, username, but=but, field=field)


def _require_restorable(record: Any, rosterer: Rosterer) -> None:
    if record.archived_at is None:
        return
    if record.merged_into_id is not None:
        raise Conflict(
            f"This person was merged into {record.merged_into_id}: undo that merge.",
            field="userId",
        )
    if rosterer.is_connected and record.archived_by_run_id is not None:
        raise Conflict(
            "A sync has archived this person, as the rule for accounts from before rostering"
            " says, and would do so again.",
            field="userId",
        )


async def edit_roster(
    session: AsyncSession, tenant_id: UUID, asked: Mapping[str, Any], caller: Caller
) -> dict[str, Any]:
    """The errand ROSTER_EDIT. Raises a DomainError, with nothing done."""
    wanted = Asked(
        act=Act(asked["act"]),
        record_id=UUID(asked["record_id"]) if asked["record_id"] else None,
        given=asked["given"],
        is_unlimited=asked["is_unlimited"],
    )
    edit = await examine_edit(session, tenant_id=tenant_id, asked=wanted)
    if edit.record_type is RecordType.USER:
        record_id = await _write_person(session, edit, is_unlimited=wanted.is_unlimited)
    else:
        record_id = await _write(session, edit, utc_now())
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action=edit.act.value,
        target=str(record_id),
        details={"fields": [input_name(name) for name in wanted.given]},
    )
    await session.flush()
    return {"id": str(record_id)}


async def _write_person(session: AsyncSession, edit: Edit, *, is_unlimited: bool) -> UUID:
    """Not beyond the licences, and not so that the district would be without an admin."""
    tenant_id, field = edit.tenant_id, "roles" if edit.values else "userId"
    seats = await read_seats(session, tenant_id=tenant_id)
    had_admin = await has_district_admin(session, tenant_id)
    record_id = await _write(session, edit, utc_now())
    await session.flush()
    if not is_unlimited:
        await require_seats(session, tenant_id=tenant_id, before=seats, field=field)
    if had_admin and not await has_district_admin(session, tenant_id):
        raise Conflict(
            f"The person {str(record_id)!r} is the last enabled district admin: give somebody else"
            " that role first.",
            field=field,
        )
    return record_id


async def _write(session: AsyncSession, edit: Edit, now: datetime) -> UUID:
    match edit.act.kind:
        case Kind.CREATE:
            return await _create(session, edit)
        case Kind.UPDATE:
            await _update(session, edit)
        case Kind.ARCHIVE if edit.record.archived_at is None:
            await _set_archived(session, edit, now)
        case Kind.RESTORE if edit.record.archived_at is not None:
            await _set_archived(session, edit, None)
    return UUID(str(edit.record.id))


async def _create(session: AsyncSession, edit: Edit) -> UUID:
    """A membership that was archived here comes back, with what was earned in it."""
    values = edit.values
    if edit.record_type is RecordType.MEMBERSHIP:
        stored = await find_membership(session, edit.tenant_id, values)
        if stored is not None:
            stored.archived_at = stored.archived_by_run_id = None
            return stored.id
    record_id = new_id()
    columns = {name: value for name, value in values.items() if name != "school_ids"}
    columns |= _BLANKS.get(edit.record_type, {})
    row = _ROWS[edit.record_type]
    session.add(row(tenant_id=edit.tenant_id, id=record_id, origin=edit.origin, **columns))
    await session.flush()
    await _affiliate(session, edit, record_id)
    return record_id


async def _update(session: AsyncSession, edit: Edit) -> None:
    """The hash goes: should a provider take the record over, all of its values are written."""
    record = edit.record
    for name, value in edit.values.items():
        if name != "school_ids":
            setattr(record, name, value)
    if record.origin is not Origin.PROVIDER:
        record.content_hash = None
    await session.flush()
    await _affiliate(session, edit, record.id)


async def _affiliate(session: AsyncSession, edit: Edit, user_id: UUID) -> None:
    if "school_ids" not in edit.values:
        return
    person = {"tenant_id": str(edit.tenant_id), "id": str(user_id)}
    places = enumerate(edit.values["school_ids"], 1)
    await put_affiliations(
        session,
        person,
        [
            {"tenant_id": str(edit.tenant_id), "school_id": str(school_id), "position": position}
            for position, school_id in places
        ],
    )


async def _set_archived(session: AsyncSession, edit: Edit, now: datetime | None) -> None:
    """`now` None: restored. A person's memberships go and come back with the person."""
    record, was = edit.record, edit.record.archived_at
    record.archived_at, record.archived_by_run_id = now, None
    await session.flush()
    if edit.record_type is not RecordType.USER:
        return
    member = Membership
    theirs = (
        update(member)
        .where(
            member.tenant_id == edit.tenant_id,
            member.user_id == record.id,
            member.origin != Origin.PROVIDER,
        )
        .values(archived_at=now, archived_by_run_id=None)
        .execution_options(synchronize_session=False)
    )
    if now is not None:
        await session.execute(theirs.where(member.archived_at.is_(None)))
        await end_sessions(session, tenant_id=edit.tenant_id, user_id=record.id, now=now)
        return
    live = select(Group.id).where(Group.tenant_id == edit.tenant_id, Group.archived_at.is_(None))
    await session.execute(theirs.where(member.archived_at == was, member.group_id.in_(live)))
